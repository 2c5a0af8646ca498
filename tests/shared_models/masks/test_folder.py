from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models.errors import MaskError
from shared_models.evaluation.speed import pink_noise
from shared_models.masks.choice import Method, edge_method
from shared_models.masks.folder import MANIFEST, make_masks
from shared_models.masks.gradient import GradientEdges
from shared_models.photo_folder import photo_set
from shared_models.training.photos import Photos


class Interrupted(Exception):
    """Stands for the end of the machine."""


class Counting(GradientEdges):
    """How many photos were looked at."""

    looks = 0

    def lines(self, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
        self.looks += 1
        return super().lines(photo)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos in VisDrone's layout."""
    folder = tmp_path / "photos" / "VisDrone2019-DET-train" / "images"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(pink_noise(70, 90, number)).save(folder / f"{number}.jpg")
    return tmp_path / "photos"


def rows(out: Path) -> dict[str, tuple[str, float]]:
    with (out / MANIFEST).open(newline="") as file:
        return {row["file"]: (row["method"], float(row["white"])) for row in csv.DictReader(file)}


def ignore(count: int, total: int) -> None:
    pass


def test_training_reads_what_was_made(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    outcome = make_masks(photo_set(photos), GradientEdges(), 4, out, ignore)
    assert (outcome.made, outcome.kept, outcome.skipped) == (4, 0, ())
    inner = "VisDrone2019-DET-train/images"
    found = rows(out)
    assert list(found) == [f"{inner}/{number}.png" for number in range(4)]
    for name, (method, white) in found.items():
        with Image.open(out / name) as mask:
            assert mask.mode == "1"
            assert mask.size == (90, 70)
            assert method == "gradient"
            assert white == pytest.approx(np.asarray(mask).mean(), abs=1e-4)
    crops = Photos(photos, out, 64).crops(8, np.random.default_rng(1))
    assert 0.0 < crops.masks.mean() < 1.0


def test_what_was_interrupted_goes_on(photos: Path, tmp_path: Path) -> None:
    def interrupt(count: int, total: int) -> None:
        if count == 2:
            raise Interrupted

    whole, parts, again = Counting(), Counting(), Counting()
    make_masks(photo_set(photos), whole, 4, tmp_path / "whole", ignore)
    with pytest.raises(Interrupted):
        make_masks(photo_set(photos), parts, 4, tmp_path / "parts", interrupt)
    assert parts.looks == 2
    outcome = make_masks(photo_set(photos), again, 4, tmp_path / "parts", ignore)
    assert (again.looks, outcome.made, outcome.kept) == (2, 2, 2)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_masks_of_others_are_kept_and_listed(photos: Path, tmp_path: Path) -> None:
    mask = tmp_path / "masks" / "VisDrone2019-DET-train" / "images" / "2.png"
    mask.parent.mkdir(parents=True)
    Image.new("1", (90, 70), 1).save(mask)
    assert make_masks(photo_set(photos), GradientEdges(), 4, tmp_path / "masks", ignore).kept == 1
    assert rows(tmp_path / "masks")["VisDrone2019-DET-train/images/2.png"] == ("unknown", 1.0)


def test_photos_that_cannot_be_used_are_told(photos: Path, tmp_path: Path) -> None:
    paths = photo_set(photos).paths
    paths[0].write_text("no photo")
    Image.new("L", (80, 80)).save(paths[1])
    outcome = make_masks(photo_set(photos), GradientEdges(), 4, tmp_path / "masks", ignore)
    assert outcome.made == 2
    assert ["cannot be read" in outcome.skipped[0], "greyscale" in outcome.skipped[1]] == [True, True]
    for path in paths:
        path.write_text("no photo")
    with pytest.raises(MaskError, match="no photo"):
        make_masks(photo_set(photos), GradientEdges(), 4, tmp_path / "others", ignore)


def test_photos_may_not_share_a_mask(photos: Path, tmp_path: Path) -> None:
    first = photo_set(photos).paths[0]
    first.with_suffix(".png").write_bytes(first.read_bytes())
    with pytest.raises(MaskError, match="share the mask"):
        make_masks(photo_set(photos), GradientEdges(), 4, tmp_path / "masks", ignore)


def test_the_method_is_the_best_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edge_method(Method.AUTO).name == "hed"
    with pytest.raises(MaskError, match="needs a Segment Anything checkpoint"):
        edge_method(Method.SAM)
    with pytest.raises(MaskError, match="uses no checkpoint"):
        edge_method(Method.HED, tmp_path / "sam.pt")
    monkeypatch.setattr("shared_models.holistic_edges.PACKAGE", "no-such-package")
    assert edge_method(Method.AUTO).name == "gradient"


def test_the_command_makes_masks_and_says_how(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    for expected in ("4 masks made, 0 kept", "0 masks made, 4 kept"):
        result = CliRunner().invoke(app, ["masks", str(photos), "--out", str(out), "--width", "3"])
        assert result.exit_code == 0, result.output
        assert "4 photos (VisDrone), edges by hed" in result.output
        assert expected in result.output
    assert {method for method, _ in rows(out).values()} == {"hed"}
    wrong = CliRunner().invoke(app, ["masks", str(tmp_path / "nowhere"), "--out", str(out)])
    assert wrong.exit_code == 1
    assert "no photo" in wrong.output
