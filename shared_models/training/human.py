"""Training of the single-layer codec for people alone, eq. (1): what both layers are compared with."""

from __future__ import annotations

from typing import ClassVar

from shared_models.config import CodecConfig
from shared_models.profile import comparison_layer
from shared_models.training.recipe import Recipe
from shared_models.training.single import SingleLayerTask


class HumanTask(SingleLayerTask):
    """A single layer of the size and with the operating points of the profile's enhancement layer."""

    name: ClassVar = "human"

    def __init__(self, config: CodecConfig, recipe: Recipe) -> None:
        super().__init__(config, recipe, comparison_layer(config), config.enhancement)
