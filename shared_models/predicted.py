"""What predicted frames have of their own: an entropy model for each layer. The transforms are those of all frames."""

from __future__ import annotations

from torch import nn

from shared_models.entropy_model import EntropyModel


class PredictedModels(nn.Module):
    """Entropy models whose walk is given a `Prediction`."""

    def __init__(self, machine: EntropyModel, enhancement: EntropyModel) -> None:
        super().__init__()
        self.machine = machine
        self.enhancement = enhancement
