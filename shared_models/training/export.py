"""From checkpoints to weights files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from shared_models.comparison_weights import ComparisonWeights
from shared_models.config import CodecConfig
from shared_models.errors import CheckpointError
from shared_models.profile import comparison_layer, enhancement_layer, machine_layer, probability_tables
from shared_models.single import SingleLayer
from shared_models.training.loop import BEST
from shared_models.weights import Weights


def trained_machine(folder: Path, config: CodecConfig) -> SingleLayer:
    """The machine layer of a run.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    layer = machine_layer(config)
    layer.load_state_dict(_best(folder, "machine")["module"])
    return layer


def exported(machine: Path, enhancement: Path, config: CodecConfig) -> Weights:
    """Both layers of two runs, with tables.

    Raises:
        CheckpointError: a folder holds no such run.
    """
    states = {"machine": _best(machine, "machine"), "enhancement": _best(enhancement, "enhancement")}
    config = replace(config, **states["enhancement"]["switches"])
    layer = enhancement_layer(config)
    layer.load_state_dict(states["enhancement"]["module"])
    training: dict[str, object] = {name: _history(state) for name, state in states.items()}
    alone = trained_machine(machine, config)
    return Weights(config, alone, layer, probability_tables(alone.entropy, layer.entropy), training)


def with_machine(machine: Path, weights: Weights) -> Weights:
    """`weights` with the machine layer of a run: good for machine views, its enhancement layer knows another one.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    layer = trained_machine(machine, weights.config)
    tables = probability_tables(layer.entropy, weights.enhancement.entropy)
    training = weights.training | {"machine": _history(_best(machine, "machine"))}
    return replace(weights, machine=layer, tables=tables, training=training)


def exported_comparison(run: Path, config: CodecConfig) -> ComparisonWeights:
    """The layer of a run of `human` or `difference`.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    state = _best(run, "human", "difference")
    layer = comparison_layer(config)
    layer.load_state_dict(state["module"])
    return ComparisonWeights(state["task"], config, layer, probability_tables(layer.entropy), _history(state))


def _history(state: dict[str, Any]) -> dict[str, object]:
    return {"steps": state["step"], "recipe": state["recipe"]}


def _best(folder: Path, *tasks: str) -> dict[str, Any]:
    path = folder / BEST
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: train first, or name another folder")
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if state["task"] not in tasks:
        raise CheckpointError(f"{path} comes from a run of {state['task']}: name one of {' or '.join(tasks)}")
    return state
