"""What a check finds, of real sources, servers, stores and folders."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from typer.testing import CliRunner

from edge import site_check
from edge.command import app
from edge.config import CaptureConfig, CodecConfig, EdgeConfig, SiteConfig, SpoolConfig
from edge.site_check import Finding, check_site, halves
from secondsight.v1 import ingest_pb2
from server.store.embedded import EmbeddedStore
from shared_models import Codec
from tests.edge.conftest import ClipMaker
from tests.edge.scripted_server import ScriptedServer

Server = tuple[ScriptedServer, str]


@pytest.fixture(autouse=True)
def small_codec(monkeypatch: pytest.MonkeyPatch, codec: Codec) -> None:
    """The tests' codec, which loads at once."""
    monkeypatch.setattr(site_check, "load_codec", lambda profile, device, eight_bit: codec)


@pytest.fixture
def camera(server: Server, make_clip: ClipMaker) -> Callable[..., EdgeConfig]:
    def make(**options: Any) -> EdgeConfig:
        given = {"camera_id": "door", "source": str(make_clip()), "server": server[1], **options}
        return EdgeConfig(**given)

    return make


async def findings(
    script: ScriptedServer | None, *cameras: EdgeConfig, clock_off_s: float = 0.0, **site: Any
) -> dict[str, Finding]:
    """By what they are about. A script answers every question."""
    hellos: list[ingest_pb2.Hello] = []

    async def answer() -> None:
        while script is not None:
            talk = await script.conversation()
            hellos.append(await talk.hello())
            await talk.answer_question(time.time() - clock_off_s)

    answering = asyncio.create_task(answer())
    found = await check_site(SiteConfig(cameras, **site), patience_s=60.0)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert all(hello.only_asks for hello in hellos)
    assert all(finding.remedy for finding in found if finding.level != "ok")
    return {finding.about: finding for finding in found}


def levels(found: dict[str, Finding]) -> dict[str, str]:
    return {about: finding.level for about, finding in found.items() if finding.level != "ok"}


async def test_a_site_that_works_is_well(
    server: Server, camera: Callable[..., EdgeConfig], valkey: EmbeddedStore, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    found = await findings(
        server[0],
        camera(store=valkey.url, spool=SpoolConfig(folder, max_bytes=2**20), state=tmp_path / "state"),
        metrics="127.0.0.1:0",
    )
    assert levels(found) == {}
    assert found["door: source"].found == "64x48, 10.0 frames a second, ffv1"
    assert "takes this camera, and holds the same model" in found["door: server"].found
    assert "evicts by volatile-ttl" in found[f"store {valkey.url.removeprefix('redis://')}"].found
    assert not folder.exists(), "nothing is begun"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/nowhere/a: b.mp4", "there is no file or folder /nowhere/a: b.mp4"),
        ("http://10.0.0.7/x", "http:// is no known kind of source"),
        ("synthetic://?widht=64", "synthetic://?widht=64: there is no option 'widht'"),
        ("rtsp://127.0.0.1:1/x", "no frame within"),
        ("/dev/null", "no frame within"),
    ],
)
async def test_a_source_that_gives_nothing_is_an_error(
    server: Server, camera: Callable[..., EdgeConfig], source: str, told: str
) -> None:
    found = await check_site(SiteConfig((camera(source=source, server="127.0.0.1:1"),)), patience_s=0.5)
    (finding,) = (each for each in found if each.about == "door: source")
    assert (finding.level, finding.found[: len(told)]) == ("error", told)
    assert ("password" in finding.remedy) == source.startswith("rtsp:")
    assert ("plug the camera in" in finding.remedy) == source.startswith("/dev/")


async def test_what_another_library_says_of_a_source_is_no_remedy(
    camera: Callable[..., EdgeConfig], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    found = (await findings(None, camera(source=str(empty), server="127.0.0.1:1")))["door: source"]
    assert found.found == f"cannot read {empty} as a video: Invalid data found when processing input"
    assert found.remedy == "give a recording that a player shows"


async def test_what_the_system_says_of_a_file_is_no_remedy(
    camera: Callable[..., EdgeConfig], tmp_path: Path
) -> None:
    found = (await findings(None, camera(token_file=tmp_path / "none", server="127.0.0.1:1")))["door: server"]
    assert found.found == f"cannot read the token from {tmp_path / 'none'}: No such file or directory"
    assert found.remedy == "give files in PEM, and a token, that this user may read"


@pytest.mark.parametrize(
    ("size", "max_side", "told", "remedy"),
    [
        ((8, 8), None, "8x8 cannot be encoded: the codec takes 16 to", "give a source with a larger picture"),
        (
            (5120, 20),
            1280,
            "5120x20, 1280x5 by `capture.max_side` cannot be encoded: ",
            "raise `capture.max_side`, or leave it out",
        ),
        (
            (8320, 64),
            None,
            "8320x64 cannot be encoded: ",
            "set `capture.max_side`, so that it is scaled to fit",
        ),
    ],
)
async def test_a_picture_that_the_codec_does_not_take_is_an_error(
    camera: Callable[..., EdgeConfig],
    make_clip: ClipMaker,
    size: tuple[int, int],
    max_side: int | None,
    told: str,
    remedy: str,
) -> None:
    door = camera(source=str(make_clip(1, size=size, name="odd.mkv")), server="127.0.0.1:1")
    found = await findings(None, replace(door, capture=CaptureConfig(max_side=max_side)))
    finding = found["door: source"]
    assert (finding.level, finding.found[: len(told)], finding.remedy) == ("error", told, remedy)
    fits = await findings(None, replace(door, capture=CaptureConfig(max_side=8192)))
    assert (fits["door: source"].level == "ok") == (size != (8, 8))


def test_a_text_is_halved_before_its_remedy() -> None:
    text = "site.yaml:3: defaults.quality: 'a: b' cannot be: give a whole number (quality: levels: 0 to 3)"
    assert halves(text) == (
        "site.yaml:3: defaults.quality: 'a: b' cannot be",
        "give a whole number (quality: levels: 0 to 3)",
    )
    assert halves("no remedy") == ("no remedy", "")


@pytest.mark.parametrize(
    ("code", "detail", "remedy"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "no token", "make a token for door at the server"),
        (grpc.StatusCode.PERMISSION_DENIED, "of another", "give the token that was made for door"),
        (grpc.StatusCode.FAILED_PRECONDITION, "another model", "run the same release"),
    ],
)
async def test_a_server_that_refuses_is_an_error_with_its_words(
    server: Server, camera: Callable[..., EdgeConfig], code: grpc.StatusCode, detail: str, remedy: str
) -> None:
    server[0].refuse(code, detail)
    found = (await findings(None, camera()))["door: server"]
    assert found.level == "error"
    assert found.found.endswith(detail)
    assert found.remedy.startswith(remedy)


async def test_a_server_that_is_not_there_is_an_error(
    camera: Callable[..., EdgeConfig], free_port: int
) -> None:
    found = (await findings(None, camera(server=f"127.0.0.1:{free_port}")))["door: server"]
    assert found.level == "error"
    assert "is its gRPC address" in found.remedy


async def test_a_clock_that_is_off_is_a_warning(server: Server, camera: Callable[..., EdgeConfig]) -> None:
    began = time.monotonic()
    found = await findings(server[0], camera(), clock_off_s=90.0)
    taken_s = time.monotonic() - began
    assert levels(found) == {"door: clock": "warning"}
    # Where on its way a question was at which time is not known.
    off_s = re.fullmatch(r"(\+\d+\.\d) s against the server's", found["door: clock"].found)
    assert off_s is not None
    assert float(off_s[1]) == pytest.approx(90.0, abs=0.1 + taken_s / 2)


async def test_a_token_that_cannot_be_read_is_an_error(
    server: Server, camera: Callable[..., EdgeConfig], tmp_path: Path
) -> None:
    found = await findings(server[0], camera(token_file=tmp_path / "none"))
    assert levels(found) == {"door: server": "error"}


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [("maxmemory-policy", "noeviction", "evicts by noeviction"), ("maxmemory", "0", "no limit of memory")],
)
async def test_a_store_that_would_fill_up_is_a_warning(
    server: Server,
    camera: Callable[..., EdgeConfig],
    valkey: EmbeddedStore,
    setting: str,
    value: str,
    told: str,
) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set(setting, value)
    found = await findings(server[0], camera(store=valkey.url))
    assert list(levels(found).values()) == ["warning"]
    assert told in found[f"store {valkey.url.removeprefix('redis://')}"].found


async def test_a_store_that_is_not_there_is_an_error_without_its_password(
    server: Server, camera: Callable[..., EdgeConfig], free_port: int
) -> None:
    found = await findings(server[0], camera(store=f"redis://user:hunter2@127.0.0.1:{free_port}/0"))
    assert levels(found) == {f"store 127.0.0.1:{free_port}/0": "error"}
    assert "hunter2" not in str(found)


async def test_a_spool_without_room_and_one_that_cannot_be_written(
    server: Server, camera: Callable[..., EdgeConfig], tmp_path: Path
) -> None:
    found = await findings(server[0], camera(spool=SpoolConfig(tmp_path, max_bytes=2**60)))
    assert levels(found) == {f"spool {tmp_path}": "warning"}
    # A file in place of a folder stops even root.
    file = tmp_path / "file"
    file.touch()
    found = await findings(server[0], camera(spool=SpoolConfig(file / "spool")))
    assert levels(found) == {f"spool {file / 'spool'}": "error"}


async def test_levels_threads_and_metrics(server: Server, camera: Callable[..., EdgeConfig]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = await findings(
            server[0],
            camera(quality=99),
            encoders=2 + 2 * len(os.sched_getaffinity(0)),
            metrics=f"127.0.0.1:{taken.getsockname()[1]}",
            codec=CodecConfig(),
        )
    assert levels(found) == {"threads": "warning", "metrics": "warning", "door: codec": "error"}


@pytest.mark.usefixtures("logging_as_before")
def test_the_command_prints_a_table_or_json_and_its_exit_code_tells(tmp_path: Path) -> None:
    wrong = tmp_path / "site.yaml"
    wrong.write_text("cameras: {door: {sorce: x, server: 'h:1'}}\n")
    runner = CliRunner()
    result = runner.invoke(app, ["check", "--config", str(wrong), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "ok": False,
        "findings": [
            {
                "level": "error",
                "about": "configuration",
                "found": f"{wrong}:1: cameras.door.sorce: there is no such key",
                "remedy": "did you mean source?",
            }
        ],
    }
    result = runner.invoke(app, ["--config", str(wrong), "check"])
    assert result.exit_code == 1
    assert "did you mean source?" in result.stdout
    result = runner.invoke(app, ["check"])
    assert "--config" in result.stdout


@pytest.mark.usefixtures("logging_as_before")
def test_the_camera_of_the_options_is_checked(make_clip: ClipMaker, free_port: int) -> None:
    options = ["--camera", "door", "--source", str(make_clip()), "--server", f"127.0.0.1:{free_port}"]
    result = CliRunner().invoke(app, [*options, "check", "--json", "--patience", "60"])
    found = {each["about"]: each["level"] for each in json.loads(result.stdout)["findings"]}
    assert (found["configuration"], found["door: source"], found["door: server"]) == ("ok", "ok", "error")
    assert result.exit_code == 1
