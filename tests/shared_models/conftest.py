"""The shipped codec, on the CPU, and pictures that need no files."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared_models import Codec, EncodedFrame, load_codec
from shared_models.evaluation.speed import pink_noise

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def codec() -> Codec:
    return load_codec("lite", device="cpu")


@pytest.fixture(scope="session")
def float_codec() -> Codec:
    """As `codec`, with all of it in float32."""
    return load_codec("lite", device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def picture() -> Picture:
    """88 x 120 pixels: no multiple of 16 either way."""
    return pink_noise(88, 120)


@pytest.fixture(scope="session")
def frame(codec: Codec, picture: Picture) -> EncodedFrame:
    return codec.encode(picture)


@pytest.fixture(scope="session")
def compressai_ans() -> ModuleType:
    """CompressAI's rANS coder. Its torchvision needs two operators that the CPU build of torch does not have."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("compressai.ans")
