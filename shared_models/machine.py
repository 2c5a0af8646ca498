"""The machine layer: the paper's SA-ICM branch, eq. (4) and (5)."""

from __future__ import annotations

from torch import nn

from shared_models.analysis import Analysis
from shared_models.config import CodecConfig
from shared_models.layer import LayerEntropyModel
from shared_models.synthesis import Synthesis


class MachineLayer(nn.Module):
    """Analysis and entropy model for the edge, synthesis g_machine for the server."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        layer = config.machine
        self.analysis = Analysis(config, layer.analysis)
        self.entropy = LayerEntropyModel(config, layer.levels, context_levels=1, conditioned=False)
        self.synthesis = Synthesis(config, layer.synthesis)
