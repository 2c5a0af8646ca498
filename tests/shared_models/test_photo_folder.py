from __future__ import annotations

from pathlib import Path

import pytest

from shared_models.errors import TrainingDataError
from shared_models.photo_folder import photo_set

PHOTOS = {
    "photos": ("a.png", "b.JPG", "c.webp"),
    "COCO": ("images/train2017/000000000009.jpg", "images/train2017/000000000025.jpg"),
    "VisDrone": ("VisDrone2019-DET-train/images/0000002_00005_d_0000014.jpg",),
    "Cityscapes": (
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        "leftImg8bit/train/zurich/zurich_000001_000019_leftImg8bit.png",
    ),
}
OTHERS = {
    "photos": ("README.md",),
    "COCO": ("images/val2017/000000000139.jpg", "annotations/instances_train2017.json"),
    "VisDrone": (
        "VisDrone2019-DET-val/images/0000001_02999_d_0000005.jpg",
        "VisDrone2019-DET-train/annotations/0000002_00005_d_0000014.txt",
    ),
    "Cityscapes": (
        "leftImg8bit/val/frankfurt/frankfurt_000000_000294_leftImg8bit.png",
        "gtFine/train/aachen/aachen_000000_000019_gtFine_color.png",
    ),
}


@pytest.fixture(params=PHOTOS)
def data_set(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    for name in (*PHOTOS[request.param], *OTHERS[request.param]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return request.param, tmp_path


def test_a_layout_is_recognised_and_only_its_training_photos_are_taken(data_set: tuple[str, Path]) -> None:
    layout, root = data_set
    found = photo_set(root)
    assert found.layout == layout
    assert [str(path.relative_to(root)) for path in found.paths] == list(PHOTOS[layout])


def test_masks_mirror_the_folders(data_set: tuple[str, Path]) -> None:
    layout, root = data_set
    found = photo_set(root)
    masks = [found.mask_of(path, Path("masks")) for path in found.paths]
    assert masks == [Path("masks", name).with_suffix(".png") for name in PHOTOS[layout]]


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        ("COCO", "images"),
        ("VisDrone", "VisDrone2019-DET-train"),
        ("Cityscapes", "leftImg8bit"),
        ("Cityscapes", "leftImg8bit/train"),
    ],
)
def test_a_part_of_a_data_set_may_be_named(layout: str, part: str, tmp_path: Path) -> None:
    for name in (*PHOTOS[layout], *OTHERS[layout]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = photo_set(tmp_path / part)
    assert found.layout == layout
    assert found.paths == tuple(tmp_path / name for name in PHOTOS[layout])


def test_a_folder_without_photos_is_refused_with_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(TrainingDataError, match=r"no photo.*COCO.*VisDrone.*Cityscapes"):
        photo_set(tmp_path)
