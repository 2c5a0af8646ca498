"""The command from end to end, on a clip that is made for it, with a real detector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models import load_codec
from shared_models.evaluation.report import Results, report_of
from tests.server.evaluation.clips import moving, written


def secondsight(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def test_clips_are_measured_told_and_written(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for name in ("gate.mkv", "pan.mkv"):
        written(moving(4, 176, 192), folder / name)
    out = tmp_path / "results" / "stream.json"
    stale = tmp_path / "results" / "stream" / "old.svg"
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>")
    words = ("eval", "stream", folder, "--frames", 3, "--judged", 2, "--every", 3, "--moving", "pan")
    cached = ("--detector", "ssd-mobilenet", "--cache", tmp_path / "cache", "--out", out)
    output = secondsight(*words, *cached)
    assert "gate.mkv: groups, machine 0, quality 0: " in output
    figures = json.loads(out.read_text())
    assert figures["model"] == load_codec().model_id.hex()
    assert figures["command"].startswith(
        "secondsight eval stream clips --detector ssd-mobilenet --moving pan"
    )
    assert (figures["keyint"], figures["group"]["longest"]) == (125, 250)
    gate, pan = figures["clips"]
    assert (gate["clip"], gate["camera"], pan["camera"]) == ("gate.mkv", "fixed", "moving")
    assert (gate["frames"], gate["judged"], gate["frames_per_second"]) == (3, 2, 10)
    names = [curve["name"].partition(" (")[0] for curve in gate["curves"]]
    assert names == ["groups", "keys alone", "x264", "x265", "JPEG"]
    for curve in gate["curves"]:
        assert len(curve["points"]) > 1
        for point in curve["points"]:
            rate = point["both"]
            assert rate["bits_per_second"] == pytest.approx(rate["bits_per_pixel"] * 192 * 176 * 10, rel=1e-3)
            assert point["human_view"]["ms_ssim_db"] > 5
    shares = gate["curves"][0]["points"][0]["both_for_a_share"]
    costs = [share["bits_per_pixel"] for share in shares]
    assert costs == sorted(costs)
    assert costs[-1] == gate["curves"][0]["points"][0]["both"]["bits_per_pixel"]
    text = out.with_suffix(".md").read_text()
    assert "## gate.mkv" in text
    assert not stale.exists()
    assert {path.name for path in stale.parent.iterdir()} >= {"gate-psnr.svg", "pan-psnr.svg"}
    before = out.read_bytes()
    secondsight(*words, *cached)
    assert out.read_bytes() == before
    report = report_of(Results.read(out.parent), [], "secondsight eval report")
    assert "## Camera streams" in report.text
    assert "report/gate-psnr.svg" in report.pictures


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--setting", "1-2"), "give machine level and human level"),
        (("--setting", "9/0"), "machine levels 0 to 3"),
        (("--only", "VP9"), "no curve is called so"),
        (("--detector", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_measured_is_told(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    path = written(moving(2, 64, 64), tmp_path / "clip.mkv")
    result = CliRunner().invoke(app, ["eval", "stream", str(path), *words])
    assert result.exit_code != 0
    assert told in " ".join(result.output.replace("│", " ").split())


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("no video")
    result = CliRunner().invoke(app, ["eval", "stream", str(path)])
    assert result.exit_code == 1
    assert "cannot be read as a video" in result.stderr
