"""The 19 classes of Cityscapes that are evaluated, in the order of their train ids."""

from __future__ import annotations

from typing import Final

CITYSCAPES_LABELS: Final = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip

CITYSCAPES_THINGS: Final = CITYSCAPES_LABELS[11:]
"""Those that can be counted."""
