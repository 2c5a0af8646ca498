"""The client on the command line, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from secondsight import store_keys
from secondsight.command_line import app
from secondsight.exit_codes import ExitCode
from server.process import Server
from server.told_recogniser import ToldRecogniser
from shared_models import Codec, EncodedFrame
from tests.client.conftest import FRAMES, Street
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, edge_stream
from tests.server.people import People

SECONDSIGHT = Path(sysconfig.get_path("scripts"), "secondsight")


async def run(address: str, grpc: str, *words: str, **environment: str) -> Result:
    """Run a command beside the server."""
    given = {
        "SECONDSIGHT_URL": f"http://{address}",
        "SECONDSIGHT_SERVER": grpc,
        "COLUMNS": "300",  # errors would be broken at any place, as long as paths are
        **environment,
    }
    return await asyncio.to_thread(CliRunner(env=given).invoke, app, list(words))


async def ask(street: Street, *words: str) -> str:
    """What a command printed that went well."""
    result = await run(street.server.http_address, street.server.grpc_address, *words)
    assert result.exit_code == ExitCode.OK, result.stderr
    return result.stdout


@asynccontextmanager
async def following(server: Server, *words: str, **environment: str) -> AsyncIterator[Process]:
    """`secondsight results` as a process of its own, which is interrupted at the end."""
    given = {"SECONDSIGHT_URL": f"http://{server.http_address}", "SECONDSIGHT_SERVER": server.grpc_address}
    process = await asyncio.create_subprocess_exec(
        *(SECONDSIGHT, "results", *words),
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, **given, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def said(process: Process) -> str:
    """The next line on standard error."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stderr.readline()).decode()


async def test_cameras_and_frames_are_listed(street: Street) -> None:
    (camera,) = json.loads(await ask(street, "cameras", "--json"))["cameras"]
    assert (camera["camera"], camera["state"], camera["session"]) == ("street", "live", 1)
    assert "street" in await ask(street, "cameras")
    lines = (await ask(street, "frames", "street", "--limit", "4", "--json")).splitlines()
    assert [json.loads(line)["frame"] for line in lines] == ["1-6", "1-5", "1-4", "1-3"]
    assert json.loads(lines[0])["result"]["detections"][0]["box"].keys() >= {"x_min", "y_max"}
    table = await ask(street, "frames", "street", "--from", "2020-01-01")
    assert table.count("square, shadow") == FRAMES
    assert "1-6" not in await ask(street, "frames", "street", "--to", "2020-01-01")


async def test_results_go_on_from_kept_positions(street: Street, tmp_path: Path) -> None:
    positions = ("--positions", str(tmp_path / "seen.json"), "--earliest")
    first = await ask(street, "results", "--limit", "2", *positions)
    assert [line.split()[3] for line in first.splitlines()] == ["1-1", "1-2"]
    then = await ask(street, "results", "street", "--limit", "1", "--label", "shadow", "--json", *positions)
    result = json.loads(then)
    assert result["frame"] == "1-3"
    assert [detection["label"] for detection in result["detections"]] == ["shadow"]
    (tmp_path / "seen.json").write_text("no positions")
    broken = await run(
        street.server.http_address, street.server.grpc_address, "results", "--limit", "1", *positions
    )
    assert broken.exit_code == ExitCode.USAGE


async def test_a_camera_that_nobody_has_had_is_named_and_waited_for(
    street: Street, codec: Codec, encoded: list[EncodedFrame]
) -> None:
    words = ("street", "annex", "--label", "square", "--json", "--limit", str(FRAMES + 1), "--earliest")
    async with following(street.server, *words) as process:
        assert await said(process) == (
            "note: no camera annex is known so far; waiting for it. Known: street\n"
        )
        async with edge_stream(street.server, codec, "annex") as edge:
            await edge.hello()
            await edge.send(1, encoded[0])
            async with asyncio.timeout(PATIENCE):
                stdout, stderr = await process.communicate()
    cameras = [json.loads(line)["camera"] for line in stdout.splitlines()]
    assert sorted(cameras) == ["annex", *["street"] * FRAMES]
    assert (process.returncode, stderr) == (ExitCode.OK, b"")


async def test_of_many_known_cameras_some_are_named(street: Street, client: Redis) -> None:
    for number in range(100, 130):
        await client.hset(store_keys.CAMERAS, f"c-{number}", 1)
    async with following(street.server, "annex") as process:
        note = await said(process)
    assert note.endswith(" c-118, c-119 and 11 more\n")


async def test_a_task_that_nobody_runs_is_named_by_who_follows_its_results(street: Street) -> None:
    async with following(street.server, "street", "--task", "plats", "--earliest") as process:
        assert await said(process) == (
            "note: no task plats is known so far; waiting for it. Known: recognise\n"
        )


async def test_results_come_also_where_nobody_answers_over_http(street: Street) -> None:
    words = ("results", "street", "--task", "recognise", "--earliest", "--limit", "1")
    followed = await run("127.0.0.1:1", street.server.grpc_address, *words)
    assert (followed.exit_code, followed.stderr) == (ExitCode.OK, "")
    assert "street 1-1" in followed.stdout


async def test_a_camera_that_one_may_not_see_is_refused_and_not_waited_for(
    start_server: StartServer, people: People
) -> None:
    async with start_server(access_file=people.file.path) as server:
        async with following(server, "gate", SECONDSIGHT_API_KEY=people.keys["vera"]) as process:
            assert await said(process) == (
                "note: no camera gate is known so far; waiting for it. Known: none\n"
            )
        async with following(server, "gate", SECONDSIGHT_API_KEY=people.keys["yuri"]) as process:
            assert "your access does not cover camera 'gate'" in await said(process)


async def test_frames_of_a_task_that_nobody_runs_are_not_said_to_be_recognised_later(
    street: Street, client: Redis
) -> None:
    address, grpc = street.server.http_address, street.server.grpc_address
    plates = ToldRecogniser("plates", "reader", ("plate",), "cpu", "any size")
    await client.hset(store_keys.RECOGNISERS, "plates", plates.line())
    for more in ((), ("--json",), ("--to", "2020-01-01")):
        unknown = await run(address, grpc, "frames", "street", "--task", "plats", *more)
        assert unknown.stderr == "note: no task plats is known so far. Known: plates, recognise\n"
        assert "not yet" not in unknown.stdout
    listed = await run(address, grpc, "frames", "street", "--task", "plats")
    assert listed.stdout.count("no such task") == FRAMES
    later = await run(address, grpc, "frames", "street", "--task", "plates")
    assert (later.stdout.count("not yet"), later.stderr) == (FRAMES, "")


async def test_views_are_fetched_and_frames_kept(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = json.loads(await ask(street, "view", "street", "1-2", "--human", "--reason", "a check", "--json"))
    assert told["provenance"]["view"] == "human"
    assert told["provenance"]["request"]
    with Image.open(tmp_path / "street-1-2-human.jpeg") as picture:
        assert picture.size == (96, 64)
    assert "frame 1-6 of street" in await ask(street, "view", "street", "--out", "newest.png")
    with Image.open(tmp_path / "newest.png") as picture:
        assert picture.format == "PNG"
    assert "frame 1-1" in await ask(street, "view", "street", "--at", "2020-01-01T00:00:00Z", "--width", "48")
    assert "is kept until" in await ask(street, "keep", "street", "1-2", "--reason", "a check")
    kept = await ask(street, "frames", "street", "--kept", "--json")
    assert json.loads(kept)["frame"] == "1-2"


async def test_no_view_is_asked_for_that_could_not_be_kept(street: Street, tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "nowhere" / "x.jpg"):
        # A server that is asked answers with another code.
        refused = await run("127.0.0.1:1", "", "view", "street", "1-2", "--format", "jpeg", "--out", str(out))
        assert refused.exit_code == ExitCode.USAGE
        assert "cannot be written" in refused.stderr


async def test_exit_codes_tell_what_kind_of_thing_went_wrong(
    street: Street, start_server: StartServer, people: People
) -> None:
    address, grpc = street.server.http_address, street.server.grpc_address
    for words, code in (
        (("frames", "nowhere"), ExitCode.NOT_THERE),
        (("view", "street", "1-99"), ExitCode.NOT_THERE),
        (("view", "street", "nonsense"), ExitCode.USAGE),
        (("view", "street", "--out", "picture.tiff"), ExitCode.USAGE),
        (("view", "street", "--slices", "2"), ExitCode.USAGE),
        (("results", "--positions", "."), ExitCode.USAGE),
        (("cameras", "--server", "ftp://nowhere"), ExitCode.USAGE),
        (("cameras", "--server", "http://127.0.0.1:1"), ExitCode.UNREACHABLE),
    ):
        result = await run(address, grpc, *words)
        assert (result.exit_code, result.stdout) == (code, ""), words
    async with start_server(access_file=people.file.path) as guarded:
        address = guarded.http_address
        refused = await run(address, grpc, "cameras")
        assert refused.exit_code == ExitCode.NOT_ALLOWED
        allowed = await run(address, grpc, "cameras", SECONDSIGHT_API_KEY=people.keys["vera"])
        assert allowed.exit_code == ExitCode.OK
