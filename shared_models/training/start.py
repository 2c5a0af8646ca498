"""Where the training of a layer of the profile lite begins: at measured statistics instead of at nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from shared_models.analysis import Analysis
from shared_models.config import LiteConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.layer import LayerEntropyModel
from shared_models.single import SingleLayer
from shared_models.synthesis import Synthesis
from shared_models.training.klt import KarhunenLoeve

KLT_CROPS = 1500
"""Crops to measure the transform on."""


def start_transforms(layer: SingleLayer | EnhancementLayer, config: LiteConfig, pixels: Tensor) -> None:
    """Make the transforms the Karhunen-Loève transform of crops (N, 3, H, W)."""
    assert isinstance(layer.analysis, Analysis) and isinstance(layer.synthesis, Synthesis)
    basis = KarhunenLoeve.of(pixels, config)
    basis.start_analysis(layer.analysis)
    basis.start_synthesis(layer.synthesis)


def start_entropy(
    layer: SingleLayer | EnhancementLayer,
    config: LiteConfig,
    lambdas: Tensor,
    context_deviations: Tensor,
) -> None:
    """Give the entropy model the quantiser steps that fit `lambdas`, (levels,), and the spread of every channel.

    Args:
        context_deviations: standard deviations of y at every level of the layer conditioned on, (context levels, M).
    """
    assert isinstance(layer.entropy, LayerEntropyModel)
    gains = torch.sqrt(lambdas / config.reference_lambda)
    layer.entropy.start_from(gains, context_deviations.mean(0), context_deviations)
