"""What analysis and synthesis have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Transform(nn.Module, ABC):
    """Pixels to latents, or latents to pixels."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float32 to (B, C', H', W') float32."""

    @abstractmethod
    def compute_in(self, dtype: torch.dtype) -> None:
        """Do the bulk of the arithmetic in `dtype`. Nothing that both sides have to repeat exactly depends on it."""
