"""The enhancement layer: the paper's additional information branch, eq. (6) to (8)."""

from __future__ import annotations

from torch import Tensor, nn

from shared_models.entropy_model import Context, EntropyModel
from shared_models.fusion import fuse
from shared_models.transform import Transform


class EnhancementLayer(nn.Module):
    """Analysis and entropy model for the edge, synthesis g_human for the server.

    Args:
        analysis: pixels to latents.
        entropy: conditioned on the machine layer or not.
        synthesis: g_human.
        residual: code the difference to the machine latents, not latents of its own.
        conditioned: show the machine layer to the entropy model.
    """

    def __init__(
        self,
        analysis: Transform,
        entropy: EntropyModel,
        synthesis: Transform,
        *,
        residual: bool,
        conditioned: bool,
    ) -> None:
        super().__init__()
        self.analysis = analysis
        self.entropy = entropy
        self.synthesis = synthesis
        self.residual = residual
        self.conditioned = conditioned

    def latents(self, analysed: Tensor, machine_latents: Tensor) -> Tensor:
        """y_a of a frame that `analysis` has been through, given the decoded latents of the machine layer."""
        return analysed - machine_latents if self.residual else analysed

    def context(self, machine_symbols: Tensor, machine_latents: Tensor) -> Context | None:
        """What the entropy model's walk is to know of the machine layer."""
        return Context(machine_symbols, machine_latents) if self.conditioned else None

    def picture(self, machine_latents: Tensor, latents: Tensor) -> Tensor:
        """The human view, eq. (8): (B, 3, H, W)."""
        return self.synthesis(fuse(machine_latents, latents))
