"""Rate and latents of one layer while training: the entropy model's walk with noise in place of coding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared_models.fixed_point import round_through
from shared_models.layer import Context, LayerEntropyModel, Level
from shared_models.single import SingleLayer
from shared_models.training.losses import bits


@dataclass(frozen=True)
class Estimate:
    """`bits` (B,), `symbols` and `latents` (B, slices * w, H, W)."""

    bits: Tensor
    symbols: Tensor
    latents: Tensor


def estimate(
    entropy: LayerEntropyModel,
    y: Tensor,
    level: Level,
    context: Context | None,
    slices: int,
    noise: torch.Generator | None,
) -> Estimate:
    """Quantise `y` and estimate its rate.

    Latents and contexts use rounded values with straight-through gradients; the rate uses uniform noise from `noise`
    in place of rounding (Minnen & Singh, 2020, section 3.3), or the rounded values when `noise` is None.
    """

    def rated(values: Tensor, index: Tensor) -> Tensor:
        if noise is None:
            return bits(torch.round(values), index)
        return bits(values + torch.rand(values.shape, generator=noise, device=values.device) - 0.5, index)

    continuous_z = entropy.hyper_latents(y, level)
    rates = [rated(continuous_z, entropy.hyper_index(level))]
    scaled = entropy.split(y * entropy.gain(level))

    def visit(k: int, index: Tensor, mean: Tensor) -> Tensor:
        values = scaled[k] - mean
        rates.append(rated(values, index))
        return round_through(values)

    size = (y.shape[-2], y.shape[-1])
    symbols, latents = entropy.walk(round_through(continuous_z), size, level, context, slices, visit)
    return Estimate(torch.stack(rates).sum(0), symbols, latents)


def estimate_alone(
    layer: SingleLayer, pixels: Tensor, chosen: Tensor, slices: int, noise: torch.Generator | None
) -> Estimate:
    """Analyse `pixels` (B, 3, H, W) with a layer that stands alone and `estimate` it at the levels `chosen`, (B,)."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        y = layer.analysis(pixels)
    level = Level(own=chosen, context=torch.zeros_like(chosen))
    return estimate(layer.entropy, y, level, None, slices, noise)
