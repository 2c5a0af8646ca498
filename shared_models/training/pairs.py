"""Pairs of frames as a fixed camera sees them, made of photos: what predicted frames are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from shared_models.training.cutouts import Cutouts

_MOST_THINGS: Final = 4
_SHARE_THAT_STAYS: Final = 0.2
_SHARE_THAT_MOVES: Final = 0.5
_LARGEST_STEP: Final = 32
_SHARE_OF_SHAKEN: Final = 0.2
_LARGEST_SHAKE: Final = 1.5
_LARGEST_ZOOM: Final = 0.01
_SHARE_OF_OTHER_LIGHT: Final = 0.6
_LARGEST_GAIN: Final = 0.2
_LARGEST_OFFSET: Final = 0.06
_LARGEST_SHADE: Final = 0.05
_SHADE_SIDE: Final = 4
_SHARE_OF_NOISY: Final = 0.7
_LARGEST_NOISE: Final = 0.015


@dataclass(frozen=True)
class FramePair:
    """A reference frame and a later one of the same camera, (B, 3, S, S) each, in [0, 1]."""

    reference: Tensor
    frame: Tensor


def frame_pairs(photos: Tensor, cutouts: Cutouts, rng: np.random.Generator) -> FramePair:
    """Let time pass in front of photos (B, 3, S, S).

    Up to four things stand in front of each: some stay, some take a step, some come or go. A camera may be shaken or
    zoom a little, the light may change as a whole and by places, and both frames have noise of their own.
    """
    pairs = [_pair(photo, cutouts, rng) for photo in photos]
    return FramePair(torch.stack([before for before, _ in pairs]), torch.stack([after for _, after in pairs]))


def _pair(photo: Tensor, cutouts: Cutouts, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    before, after = photo.clone(), photo.clone()
    side = photo.shape[-1]
    for _ in range(int(rng.integers(_MOST_THINGS + 1))):
        thing = cutouts.draw(rng)
        place = rng.integers(-_LARGEST_STEP, side, size=2)
        fate = rng.random()
        if fate < _SHARE_THAT_STAYS:
            _paste(before, thing, place)
            _paste(after, thing, place)
        elif fate < _SHARE_THAT_STAYS + _SHARE_THAT_MOVES:
            _paste(before, thing, place)
            _paste(after, thing, place + rng.integers(-_LARGEST_STEP, _LARGEST_STEP + 1, size=2))
        else:
            _paste(before if rng.random() < 0.5 else after, thing, place)
    if rng.random() < _SHARE_OF_SHAKEN:
        after = _shaken(after, rng)
    if rng.random() < _SHARE_OF_OTHER_LIGHT:
        after = _relit(after, rng)
    if rng.random() < _SHARE_OF_NOISY:
        deviation = _LARGEST_NOISE * rng.random()
        before = before + _normal(before.shape, deviation, rng)
        after = after + _normal(after.shape, deviation, rng)
    return before.clamp(0.0, 1.0), after.clamp(0.0, 1.0)


def _paste(picture: Tensor, thing: Tensor, place: np.ndarray) -> None:
    top, left = (int(first) for first in place)
    bottom = min(top + thing.shape[1], picture.shape[1])
    right = min(left + thing.shape[2], picture.shape[2])
    shown_top, shown_left = max(top, 0), max(left, 0)
    if bottom <= shown_top or right <= shown_left:
        return
    shown = thing[:, shown_top - top : bottom - top, shown_left - left : right - left]
    under = picture[:, shown_top:bottom, shown_left:right]
    under.lerp_(shown[:3], shown[3:].expand_as(under))


def _shaken(picture: Tensor, rng: np.random.Generator) -> Tensor:
    side = picture.shape[-1]
    zoom = 1.0 + rng.uniform(-_LARGEST_ZOOM, _LARGEST_ZOOM) * (rng.random() < 0.5)
    shift = rng.uniform(-_LARGEST_SHAKE, _LARGEST_SHAKE, size=2) * 2.0 / side
    move = torch.tensor([[[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]]], dtype=torch.float32)
    grid = F.affine_grid(move, [1, *picture.shape], align_corners=False)
    return F.grid_sample(picture[None], grid, mode="bicubic", padding_mode="border", align_corners=False)[0]


def _relit(picture: Tensor, rng: np.random.Generator) -> Tensor:
    gain = 1.0 + rng.uniform(-_LARGEST_GAIN, _LARGEST_GAIN) * rng.random()
    offset = rng.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET) * rng.random()
    shade = _normal((1, 1, _SHADE_SIDE, _SHADE_SIDE), _LARGEST_SHADE * rng.random(), rng)
    by_place = F.interpolate(shade, size=picture.shape[1:], mode="bicubic", align_corners=False)[0]
    return picture * gain + offset + by_place


def _normal(shape: tuple[int, ...], deviation: float, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(0.0, 1.0, size=shape).astype(np.float32)) * deviation
