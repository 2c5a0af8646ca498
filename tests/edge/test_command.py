"""The edge as a process: what its exit code and its summary say."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import sqlite3
import sysconfig
from asyncio.subprocess import PIPE, Process
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from edge.command import app
from edge.config import (
    CaptureConfig,
    CodecConfig,
    EdgeConfig,
    EnhancementConfig,
    SiteConfig,
    SpoolConfig,
    TlsConfig,
)
from edge.site_check import Finding
from tests.edge.conftest import ClipMaker
from tests.edge.scripted_server import ScriptedServer

SECONDSIGHT = Path(sysconfig.get_path("scripts"), "secondsight")

Server = tuple[ScriptedServer, str]


async def edge(*options: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        SECONDSIGHT, "edge", *options, stdout=PIPE, stderr=PIPE, env=environment or None
    )


async def outcome(process: Process) -> tuple[int | None, list[str], str]:
    printed, complained = await process.communicate()
    return process.returncode, printed.decode().splitlines(), complained.decode()


async def test_a_recording_is_sent_and_summed_up_on_standard_output(
    server: Server, make_clip: ClipMaker
) -> None:
    script, address = server
    process = await edge(
        *("--camera", "door", "--source", str(make_clip(frames=3)), "--server", address), "--keep-all"
    )
    talk = await script.conversation()
    await talk.greet(session=1)
    for frame in await talk.frames(3):
        await talk.ack(frame.id.sequence)
    code, printed, complained = await outcome(process)
    assert code == 0, complained
    assert printed[0] == f"ready camera=door server={address}"
    summary: dict[str, Any] = json.loads(printed[-1])
    assert (summary["captured"], summary["sent"], summary["acked"], summary["dropped"]) == (3, 3, 3, {})
    assert summary["encode_ms"]["p95"] >= summary["encode_ms"]["p50"] > 0


async def test_options_come_from_the_environment_and_sigterm_flushes(
    server: Server, make_clip: ClipMaker, tmp_path: Path
) -> None:
    script, address = server
    summary_file = tmp_path / "summary.json"
    process = await edge(
        SECONDSIGHT_CAMERA="door",
        SECONDSIGHT_SOURCE=str(make_clip(frames=5)),
        SECONDSIGHT_SERVER=address,
        SECONDSIGHT_LOOP="1",
        SECONDSIGHT_SUMMARY=str(summary_file),
        SECONDSIGHT_QUALITY="0",
    )
    talk = await script.conversation()
    await talk.greet(session=1, credits=2)
    last = (await talk.frames(2))[-1]
    process.send_signal(signal.SIGTERM)
    await talk.ack(last.id.sequence, credits=64)
    acknowledging = asyncio.create_task(_acknowledge_all(talk))
    code, _, complained = await outcome(process)
    acknowledging.cancel()
    assert code == 0, complained
    summary = json.loads(summary_file.read_text())
    assert summary["unacknowledged"] == 0
    assert summary["acked"] >= 2
    assert summary["captured"] == summary["acked"] + sum(summary["dropped"].values())


async def _acknowledge_all(talk: Any) -> None:
    while True:
        await talk.ack((await talk.frame()).id.sequence, credits=64)


async def test_frames_that_nobody_acknowledged_make_another_exit_code(
    free_port: int, make_clip: ClipMaker
) -> None:
    options = ("--camera", "door", "--source", str(make_clip(frames=2)), "--server", f"127.0.0.1:{free_port}")
    code, printed, complained = await outcome(await edge(*options, "--keep-all", "--flush-timeout", "0.2"))
    assert code == 4
    assert "2 frames were not acknowledged" in complained
    assert json.loads(printed[-1])["unacknowledged"] == 2


async def test_an_edge_that_the_server_refused_names_the_token_at_its_end(
    server: Server, make_clip: ClipMaker
) -> None:
    script, address = server
    script.refuse(grpc.StatusCode.UNAUTHENTICATED)
    options = ("--camera", "door", "--source", str(make_clip(frames=2)), "--server", address)
    code, _, complained = await outcome(await edge(*options, "--keep-all", "--flush-timeout", "2"))
    assert code == 4
    told = (
        "2 frames were not acknowledged: the server refused this edge (UNAUTHENTICATED: as the test wants it)"
    )
    assert told in complained
    assert "--token-file" in complained


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("path", ["none/summary.json", "."])
def test_a_summary_that_cannot_be_written_is_a_usage_error_at_the_start(
    make_clip: ClipMaker, tmp_path: Path, path: str
) -> None:
    options = ["--camera", "door", "--source", str(make_clip(frames=2)), "--summary", str(tmp_path / path)]
    result = CliRunner().invoke(app, options)
    assert (result.exit_code, result.stdout) == (2, "")
    # The message is wrapped in a frame.
    assert "the summary cannot be written" in " ".join(result.stderr.replace("│", " ").split())


async def test_frames_that_the_disk_did_not_take_are_told_from_those_that_wait_in_the_spool(
    free_port: int, make_clip: ClipMaker, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = await asyncio.create_subprocess_exec(
        *(SECONDSIGHT, "edge", "--camera", "door", "--source", str(make_clip(frames=30))),
        *("--server", f"127.0.0.1:{free_port}", "--spool", str(tmp_path / "spool"), "--delivery", "complete"),
        *("--speed", "0", "--longest-group", "1", "--flush-timeout", "0.2"),
        stdout=PIPE,
        stderr=PIPE,
        preexec_fn=limit,
    )
    code, printed, complained = await outcome(process)
    assert code == 4, complained
    told = re.search(
        r"30 frames were not acknowledged, (\d+) wait in the spool and (\d+) are lost", complained
    )
    assert told is not None, complained
    kept, lost = int(told[1]), int(told[2])
    assert kept + lost == 30
    assert json.loads(printed[-1])["spool"]["in_memory"] == lost > 0
    with closing(sqlite3.connect(tmp_path / "spool" / "door" / "frames.db")) as spool:
        assert spool.execute("SELECT count(*) FROM frame").fetchone() == (kept,)


async def test_a_source_that_is_not_there_has_its_exit_code_and_names_itself(tmp_path: Path) -> None:
    code, _, complained = await outcome(
        await edge("--camera", "door", "--source", str(tmp_path / "none.mp4"))
    )
    assert code == 3
    assert "none.mp4" in complained
    assert "Traceback" not in complained


async def test_an_impossible_option_is_a_usage_error(make_clip: ClipMaker) -> None:
    options = ("--camera", "Front Door", "--source", str(make_clip(frames=1)))
    code, _, complained = await outcome(await edge(*options))
    assert code == 2
    assert "camera name" in complained
    code, _, complained = await outcome(
        await edge("--camera", "door", "--source", "rtsp://127.0.0.1:1/x", "--keep-all")
    )
    assert code == 2
    assert "live camera" in complained


async def test_a_level_that_the_codec_does_not_have_is_a_usage_error(make_clip: ClipMaker) -> None:
    options = ("--camera", "door", "--source", str(make_clip(frames=1)), "--quality", "99")
    code, _, complained = await outcome(await edge(*options))
    assert code == 2
    assert "quality is 99" in complained


async def test_a_bit_rate_and_a_budget_are_kept_and_summed_up_and_the_day_outlives_a_restart(
    server: Server, make_moving_clip: ClipMaker, tmp_path: Path
) -> None:
    script, address = server
    state = tmp_path / "state"
    clip = make_moving_clip(frames=10)
    spent = []
    for _ in range(2):
        process = await edge(
            *("--camera", "door", "--source", str(clip), "--server", address, "--state", str(state)),
            *("--bit-rate", "50", "--daily-budget", "20", "--least-frame-rate", "5"),
        )
        talk = await script.conversation()
        await talk.greet(session=1)
        acknowledging = asyncio.create_task(_acknowledge_all(talk))
        code, printed, complained = await outcome(process)
        acknowledging.cancel()
        talk.end()
        assert code == 0, complained
        summary: dict[str, Any] = json.loads(printed[-1])
        assert (summary["uplink"]["target_kbit_s"], summary["uplink"]["daily_budget_bytes"]) == (
            50,
            20_000_000,
        )
        by_day = summary["uplink"]["bytes_by_day"]
        assert json.loads((state / "door.json").read_text())["days"] == by_day
        spent.append((sum(by_day.values()), summary["machine_bytes"]))
    assert spent[0][0] == spent[0][1] > 0
    assert spent[1][0] == spent[0][1] + spent[1][1]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--bit-rate", "5", "--least-machine-quality", "3"), "least machine quality is 3"),
        (("--bit-rate", "5", "--state", "{file}"), "state folder"),
    ],
)
async def test_rate_options_that_cannot_be_are_usage_errors(
    make_clip: ClipMaker, options: tuple[str, ...], named: str
) -> None:
    clip = str(make_clip(frames=1))
    given = (option.replace("{file}", clip) for option in options)
    code, _, complained = await outcome(await edge("--camera", "door", "--source", clip, *given))
    assert code == 2
    # The message is wrapped in a frame.
    assert named in " ".join(complained.replace("│", " ").split())
    assert "Traceback" not in complained


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (
            "cameras: {a: {sorce: x}}",
            (),
            "site.yaml:1: cameras.a.sorce: there is no such key: did you mean source?",
        ),
        ("cameras: {a: {source: x}}", (), "cameras.a: has no server: give it here or under `defaults`"),
        ("cameras: {}", ("--quality", "1"), "--quality is for one camera"),
    ],
)
def test_a_site_file_is_a_usage_error_when_it_is_wrong_or_not_alone(
    tmp_path: Path, text: str, options: tuple[str, ...], told: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["--config", str(path), *options])
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.usefixtures("logging_as_before")
def test_a_camera_without_a_source_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["--camera", "door"])
    assert result.exit_code == 2
    assert "missing option --source" in result.stderr


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("part", ["0,0:1,1:x,y", "0,0 1,0 1,1", "0,0,0:1,1:0,1", ""])
def test_a_hidden_part_that_is_written_otherwise_is_a_usage_error(part: str) -> None:
    result = CliRunner().invoke(app, ["--camera", "a", "--source", "x.mp4", "--hide", part])
    assert result.exit_code == 2
    assert "0,0:0.3,0:0.3,0.4" in result.stderr


@pytest.mark.usefixtures("logging_as_before")
def test_options_of_one_camera_become_its_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checked: list[SiteConfig] = []

    async def check_site(config: SiteConfig, patience_s: float) -> list[Finding]:
        checked.append(config)
        return []

    monkeypatch.setattr("edge.site_check.check_site", check_site)
    result = CliRunner().invoke(
        app,
        [
            *(
                "--camera",
                "door",
                "--source",
                "x.mp4",
                "--server",
                "hub.example:1",
                "--store",
                "redis://h:1/0",
            ),
            *("--ca", "ca.pem", "--certificate", "c.pem", "--key", "k.pem", "--token-file", "token"),
            *("--spool", str(tmp_path), "--delivery", "complete", "--threads", "2", "--device", "cpu"),
            *("--enhancement", "nth", "--nth", "5", "--place", "edge", "--ttl", "100000"),
            *("--frame-rate", "2", "--max-side", "640"),
            *("--hide", "0,0:0.3,0:0.3,0.4", "--hide", "1,1:0.5,1:1,.5", "check"),
        ],
    )
    assert result.exit_code == 0, result.output
    (site,) = checked
    assert site == SiteConfig(
        (
            EdgeConfig(
                "door",
                "x.mp4",
                "hub.example:1",
                tls=TlsConfig(Path("ca.pem"), Path("c.pem"), Path("k.pem")),
                token_file=Path("token"),
                store="redis://h:1/0",
                capture=CaptureConfig(
                    frame_rate=2,
                    max_side=640,
                    hidden=(((0, 0), (0.3, 0), (0.3, 0.4)), ((1, 1), (0.5, 1), (1, 0.5))),
                ),
                spool=SpoolConfig(tmp_path),
                delivery="complete",
                enhancement=EnhancementConfig("nth", 5, routine_s=100000, detection_s=100000, place="edge"),
            ),
        ),
        codec=CodecConfig(threads=2, device="cpu"),
        encoders=2,
        restart=None,
    )


async def test_a_site_runs_until_sigterm_and_sums_up_every_camera(
    server: Server, make_clip: ClipMaker, tmp_path: Path
) -> None:
    script, address = server
    site = tmp_path / "site.yaml"
    site.write_text(
        f"defaults: {{server: '{address}', capture: {{loop: true}}}}\n"
        f"cameras: {{front: {{source: {make_clip()}}}, gone: {{source: {tmp_path / 'gone.mkv'}}}}}\n"
    )
    process = await edge("--config", str(site))
    talk = await script.conversation()
    hello = await talk.greet(session=1)
    await talk.ack((await talk.frame()).id.sequence, credits=64)
    acknowledging = asyncio.create_task(_acknowledge_all(talk))
    process.send_signal(signal.SIGTERM)
    code, printed, complained = await outcome(process)
    acknowledging.cancel()
    assert code == 0, complained
    assert printed[0] == "ready cameras=front,gone"
    cameras = json.loads(printed[-1])["cameras"]
    assert (hello.camera_id, cameras["front"]["unacknowledged"]) == ("front", 0)
    assert cameras["front"]["acked"] >= 1
    assert cameras["gone"]["restarts"] >= 1
    assert "camera gone failed: there is no file or folder" in complained
