"""The client on the command line, against a real server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from secondsight.command_line import app
from secondsight.exit_codes import ExitCode
from tests.client.conftest import FRAMES, Street
from tests.server.conftest import StartServer
from tests.server.people import People


async def run(address: str, grpc: str, *words: str, **environment: str) -> Result:
    """Run a command beside the server."""
    given = {"SECONDSIGHT_URL": f"http://{address}", "SECONDSIGHT_SERVER": grpc, **environment}
    return await asyncio.to_thread(CliRunner(env=given).invoke, app, list(words))


async def ask(street: Street, *words: str) -> str:
    """What a command printed that went well."""
    result = await run(street.server.http_address, street.server.grpc_address, *words)
    assert result.exit_code == ExitCode.OK, result.stderr
    return result.stdout


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
