"""The demo as its user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sysconfig
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from PIL import Image

SECONDSIGHT = Path(sysconfig.get_path("scripts"), "secondsight")

KEYS = {
    *("captured", "sent", "acked", "recognised", "dropped"),
    *("machine_bytes", "enhancement_bytes", "human_views", "detections"),
    *("psnr_machine_db", "psnr_human_db"),
    *("encode_p50_ms", "encode_p95_ms"),
    *("capture_to_result_p50_ms", "capture_to_result_p95_ms"),
    *("human_view_p50_ms", "human_view_p95_ms"),
}


class Demo(Protocol):
    async def __call__(self, *options: str) -> Process: ...


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """Starts demos that write to `tmp_path`, and ends those that a failed test left."""
    started: list[Process] = []

    async def start(*options: str) -> Process:
        started.append(
            await asyncio.create_subprocess_exec(
                SECONDSIGHT, "demo", "--out", str(tmp_path), *options, stdout=PIPE, stderr=STDOUT
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def printed_line(process: Process, pattern: str) -> re.Match[str]:
    """Read the terminal's output up to a line with `pattern`."""
    assert process.stdout is not None
    seen = b""
    while line := await process.stdout.readline():
        seen += line
        if match := re.search(pattern, line.decode()):
            return match
    raise AssertionError(f"the demo ended without {pattern!r}:\n{seen.decode()}")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


async def server_of(pid: int) -> int:
    # A process that is just being started has no command line for a moment.
    async with asyncio.timeout(60):
        while True:
            for child in children_of(pid):
                if "server" in command_line(child):
                    return child
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_the_demo_streams_the_packaged_clip_and_counts_every_frame(demo: Demo, tmp_path: Path) -> None:
    process = await demo("--frames", "24", "--frame-rate", "3", "--views", "3", "--speed", "0")
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) == KEYS
    assert [summary[name] for name in ("captured", "sent", "acked", "recognised", "dropped")] == [24] * 4 + [
        0
    ]
    assert summary["human_views"] == 3
    assert summary["detections"] > 0
    assert 0 < summary["machine_bytes"] < summary["enhancement_bytes"]
    assert 20 < summary["psnr_machine_db"] < summary["psnr_human_db"] < 60
    for name in ("encode", "capture_to_result", "human_view"):
        assert 0 < summary[f"{name}_p50_ms"] <= summary[f"{name}_p95_ms"]
    with Image.open(tmp_path / "side-by-side.png") as picture:
        assert picture.width > 3 * 640
        assert picture.height > 272


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
async def test_a_killed_server_is_started_again_and_ctrl_c_leaves_nothing_running(demo: Demo) -> None:
    process = await demo("--frames", "1000", "--speed", "0")
    await printed_line(process, "streams")
    store, server = children_of(process.pid)[:2]
    os.kill(server, signal.SIGKILL)
    await printed_line(process, "the server had ended and is started again")
    children = children_of(process.pid)
    assert len(children) == 3
    assert store in children
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    assert not [child for child in children if alive(child)]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
@pytest.mark.parametrize("serving", [False, True])
async def test_a_part_that_ends_again_and_again_ends_the_demo_with_its_name(
    demo: Demo, serving: bool
) -> None:
    if serving:
        process = await demo("--frames", "4", "--frame-rate", "1", "--views", "1", "--speed", "0", "--serve")
        await printed_line(process, "open http")
    else:
        process = await demo("--frames", "1000", "--speed", "0")
        await printed_line(process, "streams")
    for _ in range(5):
        os.kill(await server_of(process.pid), signal.SIGKILL)
        await printed_line(process, "the server had ended and is started again")
    os.kill(await server_of(process.pid), signal.SIGKILL)
    printed, _ = await process.communicate()
    assert process.returncode == 1
    assert "the server ended 6 times" in printed.decode().replace("\n", " ")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")
async def test_not_even_a_killed_demo_leaves_anything_running(demo: Demo) -> None:
    process = await demo("--frames", "1000", "--speed", "0")
    await printed_line(process, "streams")
    children = children_of(process.pid)
    assert len(children) == 3
    process.kill()
    await process.wait()
    async with asyncio.timeout(60):
        while children:
            await asyncio.sleep(0.1)
            children = [child for child in children if alive(child)]


async def test_serving_goes_on_with_the_page_until_it_is_interrupted(demo: Demo) -> None:
    process = await demo("--frames", "8", "--frame-rate", "1", "--views", "1", "--speed", "0", "--serve")
    page = (await printed_line(process, r"open (http://\S+) in a browser"))[1]
    async with httpx.AsyncClient(base_url=page, timeout=60) as browser:
        assert "text/html" in (await browser.get("/")).headers["Content-Type"]
        first = (await browser.get("/v1/cameras/demo/frames")).json()["frames"][0]
        newest = first
        while newest["session"] == first["session"] or newest["sequence"] < 3:
            await asyncio.sleep(0.2)
            newest = (await browser.get("/v1/cameras/demo/frames")).json()["frames"][0]
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0


async def test_a_source_that_is_not_there_ends_the_demo_with_its_name(demo: Demo, tmp_path: Path) -> None:
    process = await demo("--source", str(tmp_path / "none.mp4"))
    printed, _ = await process.communicate()
    assert process.returncode == 1
    assert "none.mp4" in printed.decode().replace("\n", "")
    assert "Traceback" not in printed.decode()
