from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as run_lengths

from shared_models.errors import TrainingDataError
from shared_models.training.cutouts import Cutouts

RED = (250, 0, 0)


def outlined(left: int, top: int, width: int, height: int, **more: Any) -> dict[str, Any]:
    """A thing that fills its box."""
    right, bottom = left + width - 1, top + height - 1
    return {
        "image_id": 1,
        "iscrowd": 0,
        "bbox": [left, top, width, height],
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    } | more


def cutouts(folder: Path, *annotations: dict[str, Any]) -> Cutouts:
    """Of a red square, 40 to 79 each way, in a black photo of 200 x 240."""
    photo = np.zeros((200, 240, 3), np.uint8)
    photo[40:80, 40:80] = RED
    Image.fromarray(photo).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "elsewhere.png"}],
        "annotations": annotations,
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return Cutouts(folder / "instances.json", folder)


def counts_of(mask: NDArray[np.uint8]) -> list[int]:
    """COCO's run lengths: down the columns, outside first."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return [int(count) for count in np.diff([0, *edges, flat.size])]


def encoded(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """As pycocotools compresses it."""
    packed = run_lengths.encode(np.asfortranarray(mask))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def test_a_thing_is_cut_out_with_its_opacity(tmp_path: Path) -> None:
    triangle = [40, 40, 79, 40, 40, 79]
    made = cutouts(tmp_path, outlined(40, 40, 40, 40, segmentation=[triangle]))
    thing = made.draw(np.random.default_rng(0))
    assert thing.shape == (4, 40, 40)
    assert torch.equal(thing[0], torch.full((40, 40), RED[0] / 255.0))
    assert thing[3].mean().item() == pytest.approx(0.5, abs=0.05)
    assert set(thing[3].flatten().tolist()) == {0.0, 1.0}


def test_half_of_them_are_mirrored(tmp_path: Path) -> None:
    made = cutouts(tmp_path, outlined(40, 40, 60, 40))
    rng = np.random.default_rng(0)
    on_the_left = [made.draw(rng)[0, 0, 0].item() > 0.0 for _ in range(100)]
    assert 30 < sum(on_the_left) < 70


def test_crowds_photos_elsewhere_and_useless_sizes_are_passed_over(tmp_path: Path) -> None:
    made = cutouts(
        tmp_path,
        outlined(40, 40, 40, 40),
        outlined(40, 40, 40, 40, iscrowd=1, segmentation={"counts": [1, 2], "size": [200, 240]}),
        outlined(40, 40, 40, 40, image_id=2),
        outlined(40, 40, 12, 40),
        outlined(20, 20, 40, 170),
        outlined(230, 40, 40, 40),
    )
    assert len(made) == 1


@pytest.mark.parametrize("compressed", [False, True])
def test_a_thing_outlined_by_run_lengths_is_cut_out(tmp_path: Path, compressed: bool) -> None:
    inside = np.zeros((200, 240), np.uint8)
    inside[40:80, 40:60] = 1
    inside[70:80, 40:80] = 1
    outline = encoded(inside) if compressed else {"size": [200, 240], "counts": counts_of(inside)}
    made = cutouts(tmp_path, outlined(40, 40, 40, 40, segmentation=outline))
    opacity = made.draw(np.random.default_rng(0))[3].numpy()
    expected = inside[40:80, 40:80]
    assert np.array_equal(opacity, expected) or np.array_equal(opacity, expected[:, ::-1])


def test_run_lengths_for_a_photo_of_another_size_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = {"size": [100, 120], "counts": [0, 12000]}
    made = cutouts(
        tmp_path, outlined(40, 40, 40, 40), *[outlined(40, 40, 40, 40, segmentation=elsewhere)] * 2
    )
    assert len(made) == 1
    assert "2 outlines are passed over" in caplog.text


def test_an_outline_around_nothing_is_no_thing(tmp_path: Path) -> None:
    made = cutouts(tmp_path, outlined(40, 40, 40, 40), outlined(40, 40, 40, 40, segmentation=[]))
    assert len(made) == 1


@pytest.mark.parametrize(
    "malformed",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": None},
        {"bbox": [0, 0, "20", 20]},
        {"bbox": [0, 0, float("inf"), 20]},
        {"bbox": [0, 0, float("nan"), 20]},
        {"segmentation": None},
        {"segmentation": "polygon"},
        {"segmentation": [[1, 2, 3]]},
        {"segmentation": [[1, 2, None, 4, 5, 6]]},
        {"segmentation": {}},
        {"segmentation": {"size": 200, "counts": [1]}},
        {"segmentation": {"size": [200, 240], "counts": [10, 20]}},
        {"segmentation": {"size": [200, 240], "counts": [-1, 48001]}},
        {"segmentation": {"size": [200, 240], "counts": [0.5, 47999.5]}},
        {"segmentation": {"size": [200, 240], "counts": "\u00e9"}},
        {"segmentation": {"size": [200, 240], "counts": "P"}},
        {"segmentation": {"size": [200, 240], "counts": None}},
    ],
)
def test_annotations_that_are_malformed_are_refused_by_the_files_name(
    tmp_path: Path, malformed: dict[str, Any]
) -> None:
    with pytest.raises(TrainingDataError, match=r"instances\.json cannot be read"):
        cutouts(tmp_path, outlined(40, 40, 40, 40) | malformed)


def test_a_file_that_outlines_nothing_useful_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="nothing of a useful size"):
        cutouts(tmp_path, outlined(40, 40, 12, 12))


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}', '{"images": [], "annotations": [{}]}'])
def test_no_coco_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(TrainingDataError, match="name a COCO instances file"):
        Cutouts(tmp_path / "instances.json", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"instances\.json"):
        Cutouts(tmp_path / "instances.json", tmp_path)
