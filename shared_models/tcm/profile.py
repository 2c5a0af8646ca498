"""The layers of the profile `paper`, put together from its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from torch._subclasses.fake_tensor import FakeTensorMode

from shared_models.config import PaperConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.single import SingleLayer
from shared_models.tcm.entropy import SIGMAS, MixedEntropyModel
from shared_models.tcm.transforms import MixedAnalysis, MixedSynthesis

_FIRST_HYPER_TABLE: Final = 1 + SIGMAS


def paper_single_layer(config: PaperConfig) -> SingleLayer:
    """LIC-TCM with all n slices: the machine layer SA-ICM, or a codec that both layers are compared with."""
    return SingleLayer(
        MixedAnalysis(config, config.slices),
        MixedEntropyModel(config, config.slices, _FIRST_HYPER_TABLE),
        MixedSynthesis(config),
    )


def paper_enhancement_layer(config: PaperConfig) -> EnhancementLayer:
    """The additional information branch with `config.m` slices, whose synthesis takes all n of the fused latents."""
    return EnhancementLayer(
        MixedAnalysis(config, config.m),
        MixedEntropyModel(config, config.m, _FIRST_HYPER_TABLE + config.hyper_latents),
        MixedSynthesis(config),
        residual=config.residual,
        conditioned=config.condition_on_machine,
    )


def unallocated_enhancement_layer(config: PaperConfig) -> EnhancementLayer:
    """One to look at: its tensors have sizes and no memory."""
    with FakeTensorMode():  # what CompressAI does while it builds layers fails on the meta device
        return paper_enhancement_layer(config)


def enhancement_parameters(config: PaperConfig) -> dict[int, int]:
    """Parameters of the enhancement layer for every m: Table I of the paper."""
    layers = {m: unallocated_enhancement_layer(replace(config, m=m)) for m in range(1, config.slices + 1)}
    return {m: sum(parameter.numel() for parameter in layer.parameters()) for m, layer in layers.items()}
