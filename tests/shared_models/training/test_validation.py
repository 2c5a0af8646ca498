from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from shared_models.config import LITE
from shared_models.errors import TrainingDataError
from shared_models.evaluation.speed import pink_noise
from shared_models.training.loop import BEST, TrainingRun
from shared_models.training.machine import MachineTask
from shared_models.training.progress import trained
from shared_models.training.validation import validation_photos
from tests.shared_models.training.conftest import TINY


def test_the_first_photos_are_cut_to_multiples_of_16(folders: tuple[Path, Path]) -> None:
    pictures = validation_photos(folders[0], 2)
    assert [tuple(picture.shape) for picture in pictures] == [(1, 3, 144, 128)] * 2
    assert validation_photos(None, 2) == []


def test_the_smallest_photo_can_be_validated_on(tmp_path: Path) -> None:
    Image.fromarray(pink_noise(16, 16)).save(tmp_path / "a.png")
    (picture,) = validation_photos(tmp_path, 4)
    assert MachineTask(LITE, TINY).validate(picture)["psnr_0"] > 0.0


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothere"):
        with pytest.raises(TrainingDataError, match="holds no photo to validate on"):
            validation_photos(folder, 4)


def test_photos_that_are_damaged_or_too_small_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no photo")
    with pytest.raises(TrainingDataError, match=r"a\.png cannot be read"):
        validation_photos(tmp_path, 4)
    Image.fromarray(pink_noise(15, 40)).save(tmp_path / "a.png")
    with pytest.raises(TrainingDataError, match=r"a\.png is smaller than 16 pixels"):
        validation_photos(tmp_path, 4)


def test_a_run_looks_at_them_before_its_first_step(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = TrainingRun(lambda: MachineTask(LITE, TINY), TINY, out, torch.device("cpu"))
    with pytest.raises(TrainingDataError, match="nothere holds no photo"):
        trained(run, *folders, tmp_path / "nothere", None)
    assert run.step == 0
    assert not (out / BEST).exists()
