from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared_models.evaluation.speed import pink_noise
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe

TINY = Recipe(steps=6, batch=2, crop=64, save_every=3, validate_every=6, warm_up=2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Six photos and their masks."""
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    masks.mkdir()
    for number in range(6):
        picture = pink_noise(150, 130, seed=number)
        Image.fromarray(picture).save(photos / f"{number}.png")
        edges = np.abs(np.diff(picture[..., 1].astype(int), axis=1, append=0)) > 12
        Image.fromarray(edges.astype(np.uint8) * 255).convert("1").save(masks / f"{number}.png")
    return photos, masks


@pytest.fixture
def photos(folders: tuple[Path, Path]) -> Photos:
    return Photos(*folders, crop=TINY.crop)


def annotated(photos: Path) -> Path:
    """A COCO file that outlines a diamond in each photo."""
    names = sorted(path.name for path in photos.iterdir())
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {
                "image_id": number,
                "iscrowd": 0,
                "bbox": [10, 12, 40, 48],
                "segmentation": [[30, 12, 50, 36, 30, 60, 10, 36]],
            }
            for number in range(len(names))
        ],
    }
    file = photos.parent / "instances.json"
    file.write_text(json.dumps(content))
    return file
