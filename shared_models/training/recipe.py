"""What a training run consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Numbers of one run. They travel with the checkpoint."""

    steps: int = 6000
    batch: int = 8
    crop: int = 192
    learning_rate: float = 1e-3
    warm_up: int = 50
    decay_from: float = 0.5
    """Share of the steps after which the learning rate falls to nothing by a cosine."""
    gradient_norm: float = 1.0
    seed: int = 1
    save_every: int = 250
    validate_every: int = 500
    validation_photos: int = 4
    outside: float = 0.5
    """Weight of the error outside the edge masks, eq. (2): 0 as in the paper."""

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """From a checkpoint."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
