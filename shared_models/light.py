"""Change of light between two frames: weighted prediction (ITU-T H.264, 8.4.2.3), for latents.

A camera that adapts its exposure, or a cloud, changes every pixel and nothing of the scene. Four numbers tell of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from shared_models.transform import Transform

LIGHT_NUMBERS: Final = 4
"""Gain of all colours, and offset of each."""
LIGHT_CHOICES: Final = 1024
"""A number is 0 to 1023."""
_GAIN_UNITS: Final = 512.0
"""A gain of 1. Gains are 0 to 2, in units of 1/512."""
_OFFSET_UNITS: Final = 1024.0
"""Offsets are -1/2 to 1/2 of the range of pixels, in units of 1/1024; the number 512 is no offset."""
_OFFSET_ZERO: Final = 512.0
_CELL: Final = 16
_FIT_STEPS: Final = 8
_FIT_LEAST_ERROR: Final = 1e-6
_FIT_BELIEF_IN_GAIN_1: Final = 1e-3
_LARGEST_STRETCH: Final = 0.5
_PROBE_SIDE: Final = 128
_PROBE_STEP: Final = 0.1
_MIDDLE: Final = 0.5


@dataclass(frozen=True)
class Light:
    """`numbers` (B, 4), integers 0 to 1023 in float32: pixels become ``gain * pixel + offset``."""

    numbers: Tensor

    @classmethod
    def candidates(cls, before: Tensor, after: Tensor) -> tuple[Light, ...]:
        """What may lead from one picture to another: nothing, offsets, or a gain and offsets; none of it twice.

        Args:
            before, after: `brightness` of the two pictures.
        """
        found = [cls.unchanged(len(before), before.device)]
        for stretch in (0.0, _LARGEST_STRETCH):
            light = cls.fitted(before, after, stretch)
            if not any(torch.equal(light.numbers, other.numbers) for other in found):
                found.append(light)
        return tuple(found)

    @classmethod
    def unchanged(cls, frames: int, device: torch.device) -> Light:
        """The same light as before."""
        numbers = torch.full((frames, LIGHT_NUMBERS), _OFFSET_ZERO, device=device)
        numbers[:, 0] = _GAIN_UNITS
        return cls(numbers)

    @classmethod
    def fitted(cls, before: Tensor, after: Tensor, stretch: float) -> Light:
        """What leads from one picture to another in most places.

        Least squares, with less weight for places that do not fit, as Cauchy's distribution has it.

        Args:
            before, after: `brightness` of the two pictures.
            stretch: the gain's logarithm is within this.
        """
        x, y = before.flatten(2), after.flatten(2)
        weight = torch.ones_like(x[:, :1])
        for _ in range(_FIT_STEPS):
            total = weight.sum(2, keepdim=True)
            x_mean, y_mean = ((weight * values).sum(2, keepdim=True) / total for values in (x, y))
            belief = _FIT_BELIEF_IN_GAIN_1 * total.flatten()
            together = (weight * (x - x_mean) * (y - y_mean)).sum((1, 2)) + belief
            alone = (weight * (x - x_mean) ** 2).sum((1, 2)) + belief
            gain = (together / alone).clamp(math.exp(-stretch), math.exp(stretch))[:, None, None]
            offset = y_mean - gain * x_mean
            error = (gain * x + offset - y).square().sum(1, keepdim=True)
            typical = error.median(2, keepdim=True).values.clamp_min(_FIT_LEAST_ERROR)
            weight = 1.0 / (1.0 + error / typical)
        numbers = torch.cat((_GAIN_UNITS * gain[:, 0], _OFFSET_UNITS * offset[..., 0] + _OFFSET_ZERO), 1)
        return cls(torch.round(numbers).clamp(0.0, LIGHT_CHOICES - 1.0))

    @property
    def changes_nothing(self) -> bool:
        """Whether every pixel stays what it is."""
        return torch.equal(self.numbers, self.unchanged(len(self.numbers), self.numbers.device).numbers)

    @property
    def gain(self) -> Tensor:
        """(B, 1)."""
        return self.numbers[:, :1] / _GAIN_UNITS

    @property
    def offset(self) -> Tensor:
        """(B, 3)."""
        return (self.numbers[:, 1:] - _OFFSET_ZERO) / _OFFSET_UNITS


def brightness(pixels: Tensor) -> Tensor:
    """Means of 16x16 pixels: (B, 3, H, W), H and W multiples of 16, to (B, 3, H/16, W/16)."""
    # Whole rows first: pixels lie in channels_last memory, which average pooling would copy.
    frames, colours, height, width = pixels.shape
    rows = pixels.permute(0, 2, 3, 1).reshape(frames, height // _CELL, _CELL, -1).sum(2)
    cells = rows.view(frames, height // _CELL, width // _CELL, _CELL, colours).sum(3)
    return cells.permute(0, 3, 1, 2) / _CELL**2


class LightResponse:
    """What a change of light does to the latents of an analysis.

    Analyses are close to linear, so that it is measured once: on an even grey, and on one with a little more of each
    colour.
    """

    def __init__(self, analysis: Transform, device: torch.device) -> None:
        probes = torch.full((4, 3, _PROBE_SIDE, _PROBE_SIDE), _MIDDLE, device=device)
        for colour in range(3):
            probes[1 + colour, colour] += _PROBE_STEP
        with torch.no_grad():
            latents = analysis(probes)
        height, width = latents.shape[-2:]
        middles = latents[:, :, height // 2, width // 2].float()
        self._grey = middles[0]
        self._colours = (middles[1:] - middles[0]) / _PROBE_STEP

    def relit(self, latents: Tensor, light: Light) -> Tensor:
        """Latents (B, M, H, W) of a picture, as they are in another light; those given if it is none."""
        if light.changes_nothing:
            return latents
        gain, offset = light.gain, light.offset
        shift = (offset + (gain - 1.0) * _MIDDLE) @ self._colours - (gain - 1.0) * self._grey
        return latents * gain[:, :, None, None] + shift[:, :, None, None]
