"""A layer that stands alone: analysis, entropy model, synthesis. The paper's LIC model, eq. (1), (4) and (5)."""

from __future__ import annotations

from torch import nn

from shared_models.entropy_model import EntropyModel
from shared_models.transform import Transform


class SingleLayer(nn.Module):
    """Codes pictures, or differences of pictures, without another layer beside it.

    The machine layer is one: the paper's SA-ICM branch with g_machine of eq. (4). So are the codecs that both layers
    are compared with.
    """

    def __init__(self, analysis: Transform, entropy: EntropyModel, synthesis: Transform) -> None:
        super().__init__()
        self.analysis = analysis
        self.entropy = entropy
        self.synthesis = synthesis
