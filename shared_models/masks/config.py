"""The numbers by which masks are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class MaskConfig:
    """Numbers of all methods; pixels are those of the photo as training reads it."""

    width: int = 4
    """Of the white lines, pixels."""
    confidence: float = 0.78
    """Segment Anything: segments of a lower predicted IoU are dropped; SA-ICM's alpha (0.78 and 0.93 released)."""
    stability: float = 0.95
    """Segment Anything: so are segments that depend on the exact threshold of their mask; its authors' default."""
    points_per_side: int = 32
    """Segment Anything: prompts along each side of the photo."""
    smoothing: float = 1.0
    """HED: standard deviation of the Gaussian over the edge probability, pixels."""
    basin_depth: float = 0.04
    """HED: shallower basins of the edge probability are no regions of their own."""
    boundary_strength: float = 0.25
    """HED: a boundary between two regions is an edge from this mean probability on."""
    gradient_smoothing: float = 1.4
    """Gradients: standard deviation of the Gaussian over the photo, pixels."""
    gradient_weak: float = 0.2
    """Gradients: weaker ones are no edges; Sobel's sums over a photo in [0, 1]."""
    gradient_strong: float = 0.45
    """Gradients: weaker ones are edges only where they go on from such as are stronger."""


DEFAULTS: Final = MaskConfig()
