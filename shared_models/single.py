"""A layer that stands alone: analysis, entropy model, synthesis. The paper's LIC model, eq. (1), (4) and (5)."""

from __future__ import annotations

from torch import nn

from shared_models.analysis import Analysis
from shared_models.config import CodecConfig, LayerConfig
from shared_models.layer import LayerEntropyModel
from shared_models.synthesis import Synthesis


class SingleLayer(nn.Module):
    """Codes pictures, or differences of pictures, without another layer beside it.

    Args:
        config: the profile.
        size: transforms and operating points, one of the profile's layers.
    """

    def __init__(self, config: CodecConfig, size: LayerConfig) -> None:
        super().__init__()
        self.analysis = Analysis(config, size.analysis)
        self.entropy = LayerEntropyModel(config, size.levels, context_levels=1, conditioned=False)
        self.synthesis = Synthesis(config, size.synthesis)
