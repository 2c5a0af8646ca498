"""A camera with a token over TLS, as an installation has it: real processes, from the certificate to the revocation."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

SECONDSIGHT = (sys.executable, "-c", "from secondsight.command_line import main; main()")
PATIENCE = 90.0
"""Ends a test that hangs; nothing is asserted about time."""


def run(*arguments: str | Path) -> str:
    """A command at a terminal, to its end; gives what it prints."""
    ended = subprocess.run([*SECONDSIGHT, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@contextmanager
def process(log: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the product, stopped at the end; its standard error goes to `log`."""
    with log.open("w") as errors:
        running = subprocess.Popen(
            [*SECONDSIGHT, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            yield running
        finally:
            running.terminate()
            running.communicate(timeout=PATIENCE)


def until(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def test_a_camera_comes_in_by_its_token_over_tls_until_that_is_revoked(tmp_path: Path) -> None:
    secrets, data = tmp_path / "secrets", tmp_path / "data"
    run("certificates", "make", secrets, "--host", "127.0.0.1")
    run("access", "user", "add", "vera", "--data", data)
    key = run("access", "user", "key", "vera", "--data", data)
    token_file = tmp_path / "gate.token"
    token_file.touch(mode=0o600)
    token_file.write_text(run("access", "camera", "add", "gate", "--data", data))
    server_log, edge_log = tmp_path / "server.log", tmp_path / "edge.log"
    with process(
        server_log,
        *("server", "--data", data, "--store-port", "0", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        *("--access", data / "access.json", "--recogniser", "none", "--device", "cpu"),
        *("--tls-certificate", secrets / "server.pem", "--tls-key", secrets / "server-key.pem"),
    ) as server:
        assert server.stdout is not None
        ready = re.fullmatch(r"ready grpc=(\S+) http=(\S+) store=\S+\n", server.stdout.readline())
        assert ready is not None, server_log.read_text()
        with (
            process(
                edge_log,
                *("edge", "--camera", "gate", "--source", "synthetic://?width=64&height=48&fps=4"),
                *("--server", ready[1], "--ca", secrets / "ca.pem", "--token-file", token_file),
            ),
            httpx.Client(
                base_url=f"https://{ready[2]}",
                verify=ssl.create_default_context(cafile=secrets / "ca.pem"),
                headers={"Authorization": f"Bearer {key}"},
                timeout=PATIENCE,
            ) as http,
        ):

            def newest() -> str:
                listed = http.get("/v1/cameras/gate/frames?limit=1")
                return str(listed.json()["frames"][0]["frame"]) if listed.status_code == 200 else ""

            def uplinks() -> float:
                return float(re.findall(r"^secondsight_uplinks (\S+)$", http.get("/metrics").text, re.M)[0])

            until(lambda: newest() != "", edge_log)
            run("access", "camera", "revoke", "gate", "--data", data)
            until(lambda: uplinks() == 0, edge_log)
            last = newest()
            until(lambda: "token" in edge_log.read_text(), edge_log)
            assert newest() == last
            token_file.write_text(run("access", "camera", "add", "gate", "--data", data))
            until(lambda: newest() != last, edge_log)
            assert http.get("/v1/cameras/gate/frames/1-1/image?view=human").status_code == 403
    told = server_log.read_text() + edge_log.read_text()
    assert key not in told and token_file.read_text() not in told
    assert run("audit", "verify", "--data", data).splitlines()[-1].startswith("last: ")
