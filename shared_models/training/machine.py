"""Training of the machine layer, eq. (2)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from shared_models.config import CodecConfig
from shared_models.profile import machine_layer
from shared_models.training.losses import masked_error
from shared_models.training.photos import Crops
from shared_models.training.recipe import Recipe
from shared_models.training.single import SingleLayerTask


class MachineTask(SingleLayerTask):
    """The error counts where the masks are, and there mostly what a recogniser can still see at half the size."""

    name: ClassVar = "machine"

    def __init__(self, config: CodecConfig, recipe: Recipe) -> None:
        super().__init__(config, recipe, machine_layer(config), config.machine)

    def _error(self, crops: Crops, decoded: Tensor) -> Tensor:
        return masked_error(crops.pixels, decoded, crops.masks, self.recipe.error_weights)
