"""Pictures as callers have them, uint8, and as the transforms want them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from shared_models.config import LIMITS
from shared_models.errors import ImageError

Picture = NDArray[np.uint8]


def pixels_of(image: Picture, stride: int, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H', W') float32 in [0, 1], its sides repeated up to multiples of `stride`.

    Raises:
        ImageError: it is no such picture, or its size is outside the limits.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"an image is a NumPy array, uint8 (H, W, 3) RGB, not {type(image).__name__}: "
            "`shared_models.photo_file` makes one of a file or of a Pillow picture"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"an image is uint8 (H, W, 3) RGB, not {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    if not LIMITS.allow(width, height):
        raise ImageError(f"{width}x{height} is outside the limits, {LIMITS}: scale the image first")
    levels = torch.tensor(np.ascontiguousarray(image), device=device).permute(2, 0, 1)[None]
    pixels = levels.float().mul_(1.0 / 255.0)
    right, below = -width % stride, -height % stride
    return F.pad(pixels, (0, right, 0, below), mode="replicate") if right or below else pixels


def picture_of(pixels: Tensor, width: int, height: int) -> Picture:
    """(1, 3, H', W') in [0, 1] -> (height, width, 3) uint8 RGB. Overwrites `pixels`, which are still in the cache."""
    cut = pixels[0, :, :height, :width].permute(1, 2, 0)
    levels = cut.mul_(255.0).round_().clamp_(0.0, 255.0).to(torch.uint8).contiguous()
    return levels.cpu().numpy()
