"""Widths of the profile `paper`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared_models.config import CodecConfig, LayerConfig


@dataclass(frozen=True, kw_only=True)
class PaperConfig(CodecConfig):
    """The profile `paper`: LIC-TCM, as the paper's authors configured it.

    A mixed block splits its ``2 * width`` channels between a convolutional and a transformer branch. `head_widths` are
    those of the analysis' three stages, at 1/2, 1/4 and 1/8 of the frame; the synthesis has them in reverse.
    """

    slice_width: int = 64
    hyper_latents: int = 192
    padding: int = 16
    condition_on_machine: bool = False
    residual: bool = False
    default_quality: int = 0
    default_machine_quality: int = 0
    m: int = 5
    """Slices of the enhancement layer."""
    width: int = 128
    """The paper's N: channels of either branch of a mixed block."""
    stage_blocks: int = 2
    head_widths: tuple[int, int, int] = (8, 16, 32)
    window: int = 8
    hyper_head_width: int = 32
    hyper_window: int = 4
    support_width: int = 128
    """Channels within the attention over what a slice is told."""
    support_head_width: int = 16
    slice_net_widths: tuple[int, int] = (224, 128)

    @property
    def switches(self) -> dict[str, bool | int]:
        return {**super().switches, "m": self.m}

    @property
    def enhancement_slices(self) -> int:
        return self.m


PAPER: Final = PaperConfig(
    name="paper",
    machine=LayerConfig(lambdas=(0.05,)),
    enhancement=LayerConfig(lambdas=(0.01,)),
)
