"""Widths, limits and defaults of the codec profiles: the one place where they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MODEL_ID_BYTES: Final = 8
"""Length of the hash by which a stream names the weights it was coded with."""


@dataclass(frozen=True)
class TransformConfig:
    """Size of an analysis or synthesis transform: residual blocks at 1/8 of the picture's resolution."""

    width: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """One layer's operating points.

    `lambdas` are the Lagrangians of eq. (1)-(3), one per quality level, rising; the loss is
    ``lambda * 255**2 * mse + bits per pixel`` with pixels in [0, 1].
    """

    lambdas: tuple[float, ...]

    @property
    def levels(self) -> int:
        """Number of quality levels."""
        return len(self.lambdas)


@dataclass(frozen=True, kw_only=True)
class LiteLayerConfig(LayerConfig):
    """Sizes of one layer of the profile lite."""

    analysis: TransformConfig
    synthesis: TransformConfig
    mean_blocks: int = 0
    """Residual blocks within every slice's mean net."""


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """What every profile has: latents at 1/16 of the frame, `slices` (the paper's n) slices of `slice_width` channels.

    Frames are padded to multiples of `stride` pixels.
    """

    name: str
    machine: LayerConfig
    enhancement: LayerConfig
    slices: int = 5
    slice_width: int
    hyper_latents: int
    stride: int = 16
    """Pixels a side that one latent position stands for."""
    default_quality: int = 2
    default_machine_quality: int = 1
    condition_on_machine: bool
    """The enhancement's sigma and mean nets see the machine layer. The paper's do not."""
    residual: bool
    """The enhancement codes the difference to the machine latents. The paper's codes free latents."""

    @property
    def switches(self) -> dict[str, bool | int]:
        """What distinguishes models of one profile: it travels with checkpoints and weights."""
        return {"condition_on_machine": self.condition_on_machine, "residual": self.residual}

    @property
    def exact(self) -> bool:
        """Whether every device computes the same probabilities. Otherwise streams tell where they were coded."""
        return True

    @property
    def latents(self) -> int:
        """Channels of the latent of either layer (the paper's M)."""
        return self.slices * self.slice_width

    @property
    def enhancement_slices(self) -> int:
        """Slices of the enhancement layer (the paper's m), at most."""
        return self.slices


@dataclass(frozen=True, kw_only=True)
class LiteConfig(CodecConfig):
    """The profile lite.

    A frame is cut into `patch` x `patch` blocks (pixel-unshuffle), the transforms work on those, and another 2x2
    unshuffle gives the latents.
    """

    machine: LiteLayerConfig
    enhancement: LiteLayerConfig
    slice_width: int = 32
    hyper_latents: int = 48
    condition_on_machine: bool = True
    residual: bool = True
    patch: int = 8
    hyper_width: int = 128
    features: int = 96
    index_width: int = 64
    mean_width: int = 96
    reference_lambda: float = 0.01
    """Lambda of the quantiser step in whose units latents begin."""


@dataclass(frozen=True, kw_only=True)
class PaperConfig(CodecConfig):
    """The profile paper: LIC-TCM (Liu et al., CVPR 2023) as the paper's authors configured it.

    Its mixed blocks split ``2 * width`` channels between a convolutional and a transformer branch. `head_widths` are
    those of the analysis' three stages, at 1/2, 1/4 and 1/8 of the frame; the synthesis has them in reverse.
    """

    slice_width: int = 64
    hyper_latents: int = 192
    default_quality: int = 0
    default_machine_quality: int = 0
    condition_on_machine: bool = False
    residual: bool = False
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
    def exact(self) -> bool:
        return False

    @property
    def enhancement_slices(self) -> int:
        return self.m


@dataclass(frozen=True)
class Limits:
    """What a frame and a stream may be."""

    smallest_side: int = 16
    largest_side: int = 8192
    largest_frame: int = 2**25
    """Pixels of a frame; 8K UHD has 33 of these 33.5 million."""
    largest_symbol: int = 2**15 - 1
    largest_segment_bytes: int = 2**27

    def allow(self, width: int, height: int) -> bool:
        """Whether a frame may be of this size."""
        sides = all(self.smallest_side <= side <= self.largest_side for side in (width, height))
        return sides and width * height <= self.largest_frame

    def __str__(self) -> str:
        return (
            f"{self.smallest_side} to {self.largest_side} pixels a side and "
            f"at most {self.largest_frame} pixels in all"
        )


LIMITS: Final = Limits()

LITE: Final = LiteConfig(
    name="lite",
    machine=LiteLayerConfig(
        analysis=TransformConfig(width=96, blocks=3),
        synthesis=TransformConfig(width=128, blocks=3),
        lambdas=(0.0014, 0.0032, 0.0072, 0.016),
    ),
    enhancement=LiteLayerConfig(
        analysis=TransformConfig(width=128, blocks=4),
        synthesis=TransformConfig(width=160, blocks=6),
        lambdas=(0.005, 0.01, 0.02, 0.03),
        mean_blocks=1,
    ),
)

PAPER: Final = PaperConfig(
    name="paper",
    machine=LayerConfig(lambdas=(0.05,)),
    enhancement=LayerConfig(lambdas=(0.01,)),
)

PROFILES: Final[dict[str, CodecConfig]] = {LITE.name: LITE, PAPER.name: PAPER}
