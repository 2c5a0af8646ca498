"""What systemd is told, on a socket as it has one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondsight import systemd


@pytest.fixture(params=["file", "abstract"])
def notified(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket on which systemd listens."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@secondsight-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def heard(listening: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(listening.recv(1024).decode())
        except BlockingIOError:
            return said


async def test_systemd_hears_that_the_service_serves_lives_and_ends(
    notified: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    stop = asyncio.Event()
    said: list[str] = []
    async with systemd.told(stop):
        while said.count("WATCHDOG=1") < 3:
            await asyncio.sleep(0.01)
            said += heard(notified)
        assert said[0] == "READY=1"
        assert "STOPPING=1" not in said
        stop.set()
        said = []
        # It lives while it drains.
        while not {"STOPPING=1", "WATCHDOG=1"} <= set(said):
            await asyncio.sleep(0.01)
            said += heard(notified)
    heard(notified)
    await asyncio.sleep(0.05)
    assert heard(notified) == []


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}])
async def test_who_is_not_watched_says_only_that_it_serves_and_ends(
    notified: socket.socket, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with systemd.told(asyncio.Event()):
        await asyncio.sleep(0.05)
    assert heard(notified) == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize("address", [None, "/nowhere/notify"])
async def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    async with systemd.told(asyncio.Event()):
        systemd.tell("STATUS=well")
