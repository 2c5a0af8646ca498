"""Rate and latents of one layer while training: the entropy model's walk with noise in place of coding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared_models.entropy_model import Context, EntropyModel, Level, Prediction
from shared_models.fixed_point import round_through
from shared_models.single import SingleLayer


@dataclass(frozen=True)
class Estimate:
    """`bits` (B,), `symbols` and `latents` (B, slices * w, H, W)."""

    bits: Tensor
    symbols: Tensor
    latents: Tensor


def estimate(
    entropy: EntropyModel,
    y: Tensor,
    level: Level,
    context: Context | None,
    slices: int | Tensor,
    noise: torch.Generator | None,
    prediction: Prediction | None = None,
) -> Estimate:
    """Quantise the first `slices` slices of `y` and estimate their rate; with a (B,) tensor, as many of each frame.

    What lies behind them is zero in the latents and costs nothing; nor does what did not change in a predicted frame.

    Latents and contexts use rounded values with straight-through gradients, so that an analysis can learn from them;
    in a predicted frame, where none does, with true ones, which reach the means. The rate uses uniform noise from
    `noise` in place of rounding (Minnen & Singh, 2020, section 3.3), or the rounded values when `noise` is None.
    """

    def quantised(values: Tensor) -> Tensor:
        if noise is None:
            return torch.round(values)
        return values + torch.rand(values.shape, generator=noise, device=values.device) - 0.5

    count = slices if isinstance(slices, int) else int(slices.max())
    held = torch.as_tensor(slices, device=y.device).expand(len(y))
    number = torch.arange(y.shape[1], device=y.device) // entropy.slice_width
    sent = (number < held[:, None])[:, :, None, None]
    y = y * sent
    changed = y.new_ones(()) if prediction is None else prediction.changed
    hyper_changed = y.new_ones(()) if prediction is None else prediction.hyper_changed
    analysed = y if prediction is None else prediction.difference(y)
    continuous_z = entropy.hyper_latents(analysed, level) * hyper_changed
    rates = [(entropy.hyper_bits(quantised(continuous_z), level) * hyper_changed).flatten(1).sum(1)]
    scaled = entropy.split(y * entropy.gain(level))

    def visit(k: int, spread: Tensor, mean: Tensor) -> Tensor:
        values = scaled[k] - mean
        rates.append((entropy.bits(quantised(values), spread) * changed).flatten(1).sum(1) * (k < held))
        if prediction is None:
            return round_through(values)
        return prediction.completed(k, torch.round(values).detach())

    size = (y.shape[-2], y.shape[-1])
    z = round_through(continuous_z)
    symbols, latents = entropy.walk(z, size, level, context, count, visit, prediction)
    return Estimate(torch.stack(rates).sum(0), symbols, latents * sent[:, : latents.shape[1]])


def estimate_alone(
    layer: SingleLayer, pixels: Tensor, chosen: Tensor, slices: int, noise: torch.Generator | None
) -> Estimate:
    """Analyse `pixels` (B, 3, H, W) with a layer that stands alone and `estimate` it at the levels `chosen`, (B,)."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        y = layer.analysis(pixels)
    level = Level(own=chosen, context=torch.zeros_like(chosen))
    return estimate(layer.entropy, y, level, None, slices, noise)
