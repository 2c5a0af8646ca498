"""The networks of a profile, put together from its parts.

What only the profile paper needs takes seconds to import, so that is done where it is used.
"""

from __future__ import annotations

from shared_models.analysis import Analysis
from shared_models.config import PROFILES, CodecConfig, LayerConfig, LiteConfig, LiteLayerConfig, PaperConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.entropy_model import EntropyModel
from shared_models.errors import ProfileError, WeightsError
from shared_models.layer import LayerEntropyModel
from shared_models.predicted import PredictedModels
from shared_models.single import SingleLayer
from shared_models.synthesis import Synthesis
from shared_models.tables import Tables, gaussian_tables


def profile_named(name: str) -> CodecConfig:
    """The profile of that name.

    Raises:
        ProfileError: there is none.
    """
    if name not in PROFILES:
        raise ProfileError(f"there is no profile {name!r}; known: {', '.join(sorted(PROFILES))}")
    return PROFILES[name]


def machine_layer(config: CodecConfig) -> SingleLayer:
    """The machine layer, untrained."""
    return single_layer(config, config.machine)


def comparison_layer(config: CodecConfig) -> SingleLayer:
    """A single layer of the size of the enhancement layer, untrained: what both layers are compared with."""
    return single_layer(config, config.enhancement)


def single_layer(config: CodecConfig, size: LayerConfig) -> SingleLayer:
    """A layer that stands alone, untrained; `size` is one of the profile's layers.

    Raises:
        WeightsError: the profile needs a package that is not installed.
    """
    if isinstance(config, PaperConfig):
        from shared_models.tcm.profile import paper_single_layer

        return paper_single_layer(config)
    assert isinstance(config, LiteConfig) and isinstance(size, LiteLayerConfig)
    entropy = LayerEntropyModel(config, size, context_levels=1, conditioned=False)
    return SingleLayer(Analysis(config, size.analysis), entropy, Synthesis(config, size.synthesis))


def enhancement_layer(config: CodecConfig) -> EnhancementLayer:
    """The enhancement layer, untrained.

    Raises:
        WeightsError: the profile needs a package that is not installed.
    """
    if isinstance(config, PaperConfig):
        from shared_models.tcm.profile import paper_enhancement_layer

        return paper_enhancement_layer(config)
    assert isinstance(config, LiteConfig)
    size = config.enhancement
    conditioned = config.condition_on_machine
    entropy = LayerEntropyModel(config, size, context_levels=config.machine.levels, conditioned=conditioned)
    return EnhancementLayer(
        Analysis(config, size.analysis),
        entropy,
        Synthesis(config, size.synthesis),
        residual=config.residual,
        conditioned=conditioned,
    )


def predicted_models(config: CodecConfig) -> PredictedModels:
    """Entropy models of predicted frames, untrained.

    Raises:
        WeightsError: the profile has none.
    """
    if not isinstance(config, LiteConfig):
        raise WeightsError(f"the profile {config.name!r} has no predicted frames")
    return PredictedModels(
        LayerEntropyModel(config, config.machine, context_levels=1, conditioned=False, predicted=True),
        LayerEntropyModel(
            config,
            config.enhancement,
            context_levels=config.machine.levels,
            conditioned=config.condition_on_machine,
            predicted=True,
        ),
    )


def probability_tables(*models: EntropyModel) -> Tables:
    """Tables that serve all of `models` together. Computed once, when weights are exported."""
    if all(isinstance(model, LayerEntropyModel) for model in models):
        return gaussian_tables()
    from shared_models.tcm.tables import paper_tables

    return paper_tables(*models)
