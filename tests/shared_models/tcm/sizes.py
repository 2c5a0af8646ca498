"""Models of the profile paper for tests: one of small widths, and weights that need no training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from shared_models.config import PAPER, PaperConfig
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import enhancement_layer, machine_layer, probability_tables
from shared_models.tcm.entropy import MixedEntropyModel
from shared_models.weights import Weights

_SPREAD = 2.0

TINY = replace(
    PAPER,
    m=3,
    width=8,
    slice_width=4,
    hyper_latents=6,
    head_widths=(2, 4, 8),
    hyper_head_width=4,
    support_width=8,
    support_head_width=4,
    slice_net_widths=(12, 8),
)


def scaled_weights(config: PaperConfig) -> Weights:
    """Untrained weights whose latents of pictures have a natural size, predicted rather too large."""
    torch.manual_seed(5)
    machine, enhancement = machine_layer(config), enhancement_layer(config)
    pixels = torch.from_numpy(pink_noise(128, 128)).permute(2, 0, 1)[None] / 255.0
    for layer in (machine, enhancement):
        last = layer.analysis.get_submodule(f"net.{len(layer.analysis.get_submodule('net')) - 1}")
        assert isinstance(last, nn.Conv2d) and isinstance(layer.entropy, MixedEntropyModel)
        with torch.no_grad():
            last.weight *= _SPREAD / layer.analysis(pixels).std()
            for net in layer.entropy.spread_nets:
                net.get_parameter("4.bias").uniform_(_SPREAD, 3.0 * _SPREAD)
    tables = probability_tables(machine.entropy, enhancement.entropy)
    return Weights(config, machine, enhancement, tables, {})
