"""The authors' networks with generated weights: what the expected numbers beside this were computed from."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared_models.tcm.checkpoint import authors_key

_CONSTANTS = ("quantiles", "beta", "gamma")


def generated_state(layer: nn.Module) -> dict[str, Tensor]:
    """A checkpoint of a layer of the profile `paper` under the authors' names, every weight made from its name.

    What CompressAI sets to constants stays as it is.
    """
    parameters = {name for name, _ in layer.named_parameters()}
    state = {}
    for name, tensor in layer.state_dict().items():
        key = authors_key(name)
        constant = name not in parameters or key.endswith(_CONSTANTS)
        state[key] = tensor if constant else torch.from_numpy(_generated(key, tuple(tensor.shape)))
    return state


def generated_pixels(side: int = 256) -> Tensor:
    """A picture of waves, (1, 3, side, side)."""
    row, column = np.mgrid[:side, :side].astype(np.float64)
    channel = np.arange(3.0)[:, None, None]
    waves = (
        0.5
        + 0.25 * np.sin(0.11 * column + 0.7 * channel)
        + 0.2 * np.cos(0.07 * row + 0.05 * column * (channel + 1))
    )
    return torch.from_numpy(np.clip(waves, 0.0, 1.0).astype(np.float32))[None]


def _generated(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    n = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    if "relative_position" in key:
        return np.float32(0.02) * n
    if n.ndim == 1:
        return 1 + np.float32(0.05) * n if key.endswith("weight") else np.float32(0.02) * n
    return np.float32(0.7 / np.sqrt(n[0].size)) * n
