"""With real networks whose weights are random: what they find is noise, but it goes all the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared_models.errors import WeightsError
from shared_models.evaluation.speed import pink_noise
from shared_models.masks import segment_anything
from shared_models.masks.config import DEFAULTS
from shared_models.masks.segment_anything import SegmentEdges


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        path = tmp_path_factory.mktemp("sam") / f"{kind}.pt"
        torch.manual_seed(1)
        torch.save(segment_anything._package().sam_model_registry[kind]().state_dict(), path)
        return path

    return make


def test_a_checkpoint_finds_edges(checkpoint: Callable[[str], Path]) -> None:
    torch.set_num_threads(1)
    config = replace(DEFAULTS, points_per_side=3, confidence=-10.0, stability=0.0)
    method = SegmentEdges(checkpoint("vit_t"), config)
    assert method.kind == "vit_t"
    photo = pink_noise(72, 96)
    lines = method.lines(photo)
    assert lines.shape == (72, 96)
    assert 0.0 < lines.mean() < 0.9


def test_the_size_of_the_network_is_read_from_the_file(checkpoint: Callable[[str], Path]) -> None:
    method = SegmentEdges(checkpoint("vit_b"), replace(DEFAULTS, confidence=0.93))
    assert method.kind == "vit_b"
    assert method._generator.pred_iou_thresh == 0.93


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(WeightsError, match="is missing"):
        SegmentEdges(path)
    for content in (b"", b"no checkpoint", b"root:x:0:0:root:/root:/bin/sh\n", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="cannot read"):
            SegmentEdges(path)
    for other in (
        [1, 2],
        {"layer.weight": torch.zeros(2)},
        {"image_encoder.pos_embed": torch.zeros(1, 4, 4, 9)},
    ):
        torch.save(other, path)
        with pytest.raises(WeightsError, match="no Segment Anything checkpoint"):
            SegmentEdges(path)
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, path)
    with pytest.raises(WeightsError, match="does not fit"):
        SegmentEdges(path)


def test_torchvision_suppresses_boxes_here() -> None:
    segment_anything._package()
    from torchvision.ops import batched_nms

    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10]]).float()
    scores, classes = torch.tensor([0.5, 0.9]), torch.tensor([0, 0])
    assert np.array_equal(batched_nms(boxes, scores, classes, 0.5), [1])
