"""The shipped codec, on the CPU, and pictures that need no files."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared_models import Codec, EncodedFrame, load_codec
from shared_models.evaluation.speed import pink_noise
from shared_models.torchvision_operators import provide_operators
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.prediction import predicting

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def codec() -> Codec:
    return load_codec("lite", device="cpu")


@pytest.fixture(scope="session")
def float_codec() -> Codec:
    """As `codec`, with all of it in float32."""
    return load_codec("lite", device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def predicting_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights, with models of predicted frames."""
    path = tmp_path_factory.mktemp("weights") / "lite.safetensors"
    predicting(Weights.load(shipped_weights("lite"))).save(path)
    return path


@pytest.fixture(scope="session")
def predicting_codec(predicting_weights: Path) -> Codec:
    """As `float_codec`, for predicted frames too."""
    return load_codec("lite", weights=predicting_weights, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def picture() -> Picture:
    """88 x 120 pixels: no multiple of 16 either way."""
    return pink_noise(88, 120)


@pytest.fixture(scope="session")
def frame(codec: Codec, picture: Picture) -> EncodedFrame:
    return codec.encode(picture)


@pytest.fixture(scope="session")
def compressai_ans() -> ModuleType:
    """CompressAI's rANS coder. It imports torchvision."""
    provide_operators()
    return importlib.import_module("compressai.ans")
