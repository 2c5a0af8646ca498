"""A small codec of the profile paper, with weights that give symbols of a natural size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shared_models.codec import Codec
from tests.shared_models.tcm.sizes import TINY, scaled_weights


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `TINY`, m = 3."""
    path = tmp_path_factory.mktemp("paper") / "tiny.safetensors"
    scaled_weights(TINY).save(path)
    return path


@pytest.fixture(scope="session")
def tiny_codec() -> Codec:
    return Codec(scaled_weights(TINY), device="cpu", dtype=torch.float32)
