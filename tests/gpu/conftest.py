"""Codecs on the CPU and on the GPU. Without a GPU all tests here skip."""

from __future__ import annotations

import pytest
import torch

from shared_models import Codec, load_codec
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.prediction import predicting

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.fixture(scope="session", autouse=True)
def gpu() -> None:
    """Nothing here means anything without one."""
    if not torch.cuda.is_available():
        pytest.skip(f"torch {torch.__version__} sees no CUDA device: these tests compare the CPU with one")


@pytest.fixture(scope="session")
def cpu(gpu: None) -> dict[str, Codec]:
    """By the precision of the transforms' blocks."""
    return {name: load_codec("lite", device="cpu", dtype=dtype) for name, dtype in DTYPES.items()}


@pytest.fixture(scope="session")
def cuda(gpu: None) -> dict[str, Codec]:
    """The same on the GPU."""
    return {name: load_codec("lite", device="cuda", dtype=dtype) for name, dtype in DTYPES.items()}


def predicting_codecs(device: str) -> dict[str, Codec]:
    weights = shipped_weights("lite")
    return {name: Codec(predicting(Weights.load(weights)), device, dtype) for name, dtype in DTYPES.items()}


@pytest.fixture(scope="session")
def predicting_cpu(gpu: None) -> dict[str, Codec]:
    """As `cpu`, for predicted frames too, whatever the shipped weights have."""
    return predicting_codecs("cpu")


@pytest.fixture(scope="session")
def predicting_cuda(gpu: None) -> dict[str, Codec]:
    """The same on the GPU."""
    return predicting_codecs("cuda")
