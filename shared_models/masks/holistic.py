"""Edges that HED has learned from people's drawings of object boundaries."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from shared_models.holistic_edges import load_holistic_edges
from shared_models.masks.config import DEFAULTS, MaskConfig
from shared_models.masks.regions import region_boundaries


class LearnedEdges:
    """Boundaries of watershed regions on HED's edge probability.

    The numbers of `MaskConfig` were chosen on photos of several sources by agreement with the masks by which the
    shipped weights were trained, which are regions watershed on learned boundaries, too.

    Args:
        config: its numbers.
        device: what computes.

    Raises:
        WeightsError: HED's weights are not installed.
    """

    name = "hed"

    def __init__(self, config: MaskConfig = DEFAULTS, device: torch.device | None = None) -> None:
        self._config = config
        self._device = device or torch.device("cpu")
        self._network = load_holistic_edges().to(self._device)

    def lines(self, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """See `EdgeMethod`."""
        pixels = torch.tensor(photo, device=self._device).permute(2, 0, 1)[None].float() / 255.0
        with torch.inference_mode():
            probability = self._network(pixels)[0, 0].cpu().numpy()
        return region_boundaries(probability, self._config)
