from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shared_models import Codec
from shared_models.comparison_weights import ComparisonWeights
from shared_models.config import LITE
from shared_models.errors import WeightsError
from shared_models.evaluation.comparison import comparisons
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import comparison_layer
from shared_models.tables import gaussian_tables
from shared_models.training.klt import KarhunenLoeve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Untrained codecs: the Karhunen-Loève transform of noise with a photo's spectrum."""
    crops = np.stack([pink_noise(64, 64, seed) for seed in range(40)])
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255.0
    basis = KarhunenLoeve.of(pixels, LITE)
    gains = torch.ones(LITE.enhancement.levels)
    for task in ("human", "difference"):
        torch.manual_seed(1)
        layer = comparison_layer(LITE)
        basis.start_analysis(layer.analysis)
        basis.start_synthesis(layer.synthesis)
        with torch.no_grad():
            deviations = layer.analysis(pixels).std((0, 2, 3))
        layer.entropy.start_from(gains, deviations, deviations[None])
        if task == "difference":
            torch.nn.init.zeros_(layer.analysis.stem.bias)
            torch.nn.init.zeros_(layer.synthesis.head.bias)
        ComparisonWeights(task, LITE, layer, gaussian_tables(), {}).save(tmp_path / f"{task}.safetensors")
    return tmp_path


@pytest.mark.parametrize("size", [(64, 96), (49, 77)])
def test_both_code_real_streams_of_any_size(folder: Path, codec: Codec, size: tuple[int, int]) -> None:
    image = pink_noise(*size, seed=4)
    machine = codec.encode(image, slices=1).machine
    for peer in comparisons(codec, folder):
        data = peer.encode(image, peer.ladder[-1])
        decoded = peer.decode(data)
        assert decoded.shape == image.shape
        assert psnr(image, decoded) > psnr(image, codec.decode_machine(machine))


def test_the_difference_codec_counts_the_machine_layer(folder: Path, codec: Codec) -> None:
    image = pink_noise(64, 96, seed=4)
    _, difference = comparisons(codec, folder)
    machine = codec.encode(image, slices=1).machine
    assert machine in difference.encode(image, 0)


def test_files_in_each_others_place_are_refused(folder: Path, codec: Codec) -> None:
    (folder / "difference.safetensors").rename(folder / "human.safetensors")
    with pytest.raises(WeightsError, match="trained for difference"):
        comparisons(codec, folder)


def test_a_missing_file_is_named(tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(WeightsError, match=r"human\.safetensors is missing"):
        comparisons(codec, tmp_path)
