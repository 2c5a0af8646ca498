"""The command from end to end, with a real detector on real photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secondsight.command_line import app
from tests.server.evaluation.synthetic import annotated


def test_photos_are_measured_told_and_written(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "coco_val"
    if not folder.is_dir():
        pytest.skip(f"no annotated photos: {folder} is missing; set SECONDSIGHT_DATA to a folder that has it")
    out = tmp_path / "recognition.json"
    options = ["--no-peers", "--images", "2", "--resamples", "20", "--detector", "ssd-mobilenet"]
    words = [
        "eval",
        "recognition",
        str(folder),
        *options,
        "--cache",
        str(tmp_path / "cache"),
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "machine layer, level 0: " in result.output
    figures = json.loads(out.read_text())
    assert (figures["photos"], figures["resamples"], list(figures["detectors"])) == (2, 20, ["ssd-mobilenet"])
    found = figures["detectors"]["ssd-mobilenet"]
    machine, both = found["curves"]
    assert (machine["name"], machine["kind"], both["name"]) == ("machine layer", "ours", "both layers")
    rates = [point["bits_per_pixel"] for point in machine["points"]]
    assert rates == sorted(rates)
    assert len(set(rates)) == 4
    assert found["original"]["ap"]["low"] <= found["original"]["ap"]["high"]
    for point in [*machine["points"], *both["points"]]:
        share = point["ap"]["value"] / found["original"]["ap"]["value"]
        assert point["share_of_original"]["value"] == pytest.approx(share)


def test_photos_of_things_that_no_detector_knows_are_told(tmp_path: Path) -> None:
    folder = annotated(tmp_path / "photos", 2)
    description = json.loads((folder / "instances.json").read_text())
    description["categories"] = [{"id": 1, "name": "red thing"}, {"id": 2, "name": "blue thing"}]
    (folder / "instances.json").write_text(json.dumps(description))
    options = ["--no-peers", "--resamples", "5", "--detector", "ssd-mobilenet"]
    result = CliRunner().invoke(app, ["eval", "recognition", str(folder), *options])
    assert result.exit_code == 1
    assert "ssd-mobilenet finds nothing of what is annotated" in result.stderr
