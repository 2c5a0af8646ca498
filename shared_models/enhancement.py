"""The enhancement layer: the paper's additional information branch, eq. (6) to (8)."""

from __future__ import annotations

from torch import Tensor, nn

from shared_models.analysis import Analysis
from shared_models.config import CodecConfig
from shared_models.fusion import fuse
from shared_models.layer import Context, LayerEntropyModel
from shared_models.synthesis import Synthesis


class EnhancementLayer(nn.Module):
    """Analysis and entropy model for the edge, synthesis g_human for the server."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        layer = config.enhancement
        self.residual = config.residual
        self.conditioned = config.condition_on_machine
        self.analysis = Analysis(config, layer.analysis)
        self.entropy = LayerEntropyModel(
            config,
            layer.levels,
            context_levels=config.machine.levels,
            conditioned=config.condition_on_machine,
        )
        self.synthesis = Synthesis(config, layer.synthesis)

    def latents(self, analysed: Tensor, machine_latents: Tensor) -> Tensor:
        """y_a of a frame that `analysis` has been through, given the decoded latents of the machine layer."""
        return analysed - machine_latents if self.residual else analysed

    def context(self, machine_symbols: Tensor, machine_latents: Tensor) -> Context | None:
        """What `LayerEntropyModel.walk` is to know of the machine layer."""
        return Context(machine_symbols, machine_latents) if self.conditioned else None

    def picture(self, machine_latents: Tensor, latents: Tensor) -> Tensor:
        """The human view, eq. (8): (B, 3, H, W)."""
        return self.synthesis(fuse(machine_latents, latents))
