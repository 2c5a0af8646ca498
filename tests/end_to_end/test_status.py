"""`secondsight status`, from real metrics of a real edge and server; and what a failing start prints."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from edge.exposition import serve_metrics
from edge.metrics import SourceState, Tally
from secondsight.demo.processes import SERVER_READY, Children, free_ports
from secondsight.verdict import Cause, Verdict

SECONDSIGHT = str(Path(sysconfig.get_path("scripts"), "secondsight"))
SECRET = "correct-horse-battery"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SECONDSIGHT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | environment,
    )


def give_frames(*tallies: Tally) -> None:
    for tally in tallies:
        for _ in range(30):
            tally.capture()
            tally.acknowledge()


def test_a_server_that_is_not_there_is_wrong() -> None:
    (port,) = free_ports(0)
    result = run("status", "--server", f"http://127.0.0.1:{port}")
    assert result.returncode == 1
    assert "cannot be read" in result.stdout


def test_cameras_of_an_edge_are_shown_with_what_is_slow() -> None:
    (port,) = free_ports(0)
    door = Tally(live=True, connected=True, connections=1, source=SourceState.GIVING)
    gate = Tally(live=True, connected=True, connections=1)
    give_frames(door)
    address = f"http://127.0.0.1:{port}"
    with serve_metrics(f"127.0.0.1:{port}", {"door": door}):
        well = run("status", "--edge", address)
        assert (well.returncode, "all is well" in well.stdout) == (0, True), well.stdout
    # Only now: what is told is of the last minute, and the first look may have taken long.
    give_frames(door, gate)
    gate.drop("encoder_slow")
    gate.verdict = Verdict(Cause.ENCODER_SLOW)
    with serve_metrics(f"127.0.0.1:{port}", {"door": door, "gate": gate}):
        result = run("status", "--edge", address, "--json")
    status = json.loads(result.stdout)
    assert result.returncode == 1
    seen = {camera["camera"]: camera for camera in status["cameras"]}
    assert seen["door"]["cause"] == "none"
    assert (seen["gate"]["slow_part"], seen["gate"]["cause"]) == ("encoder", "encoder_slow")
    assert seen["gate"]["dropped_last_minute"] == {"encoder_slow": 1}
    assert seen["door"]["frames_in_per_second"] > 0
    assert seen["door"]["last_frame_age_s"] < 60
    assert status["wrong"] == ["camera gate: encoder is slow: frames are dropped because the encoder is busy"]


async def test_a_server_shows_its_store_and_workers(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        server = children.start(
            "server",
            *("server", "--data", str(tmp_path / "data"), "--store-port", "0", "--recogniser", "none"),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-format", "json"),
        )
        ready = await server.ready(SERVER_READY)
        http = ready.split("http=")[1].split()[0]
        status = json.loads(run("status", "--server", f"http://{http}", "--json").stdout)
        assert status["cameras"] == []
        assert status["store"]["up"]
        assert 0 < status["store"]["memory_bytes"] < status["store"]["memory_limit_bytes"]
    logged = (tmp_path / "server.log").read_text().splitlines()
    for line in logged:
        if not line.startswith("ready "):
            assert {"event", "level", "logger", "timestamp"} <= json.loads(line).keys()


def test_a_key_is_not_sent_in_the_clear() -> None:
    result = run("status", "--server", "http://192.0.2.1:8080", SECONDSIGHT_API_KEY=SECRET)
    assert result.returncode == 2
    assert "in the clear" in result.stderr
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("server", "--store", f"redis://:{SECRET}@127.0.0.1:1/0", "--grpc", "nonsense"),
        ("server", "--store", f"nonsense://u:{SECRET}@127.0.0.1:1/0", "--grpc", "127.0.0.1:0"),
        ("edge", "--camera", "door", "--source", f"rtsp://u:{SECRET}@192.0.2.1/x", "--server", "nonsense"),
        ("--debug", "edge", "--camera", "door", "--source", "/", "--store", f"nonsense://u:{SECRET}@h"),
    ],
    ids=lambda arguments: " ".join(arguments).replace(SECRET, "..."),
)
def test_a_start_that_fails_tells_no_secret(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*arguments, SECONDSIGHT_DATA_FOLDER=str(tmp_path))
    assert result.returncode != 0
    printed = result.stdout + result.stderr
    assert printed
    assert SECRET not in printed
