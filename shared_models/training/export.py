"""From checkpoints to weights files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from shared_models.comparison_weights import ComparisonWeights
from shared_models.config import CodecConfig
from shared_models.errors import CheckpointError
from shared_models.profile import (
    comparison_layer,
    enhancement_layer,
    machine_layer,
    predicted_models,
    probability_tables,
)
from shared_models.single import SingleLayer
from shared_models.training.checkpoint import load_module, read_checkpoint
from shared_models.training.loop import BEST
from shared_models.weights import Weights

_PREDICTED_MACHINE: Final = "predicted-machine"
_PREDICTED_ENHANCEMENT: Final = "predicted-enhancement"
_STEPS: Final = "log_gain"
"""Quantiser steps, which a run of predicted frames keeps as its layer has them."""
_OF_PROFILE: Final = "name a run of profile {}, or the profile that this one was trained for"
_TRAIN_ON: Final = "train again, or name another folder"


def trained_machine(folder: Path, config: CodecConfig) -> SingleLayer:
    """The machine layer of a run.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    layer = machine_layer(config)
    _load(layer, _best(folder, "machine"), folder, config)
    return layer


def exported(machine: Path, enhancement: Path, config: CodecConfig) -> Weights:
    """Both layers of two runs, with tables. Predicted frames have to be trained for them: `with_predicted`.

    Raises:
        CheckpointError: a folder holds no such run.
    """
    states = {"machine": _best(machine, "machine"), "enhancement": _best(enhancement, "enhancement")}
    _expect_profile(states["enhancement"], enhancement, config)
    config = replace(config, **states["enhancement"]["switches"])
    layer = enhancement_layer(config)
    _load(layer, states["enhancement"], enhancement, config)
    training: dict[str, object] = {name: _history(state) for name, state in states.items()}
    alone = trained_machine(machine, config)
    return Weights(config, alone, layer, probability_tables(alone.entropy, layer.entropy), training)


def with_machine(machine: Path, weights: Weights) -> Weights:
    """`weights` with the machine layer of a run: good for machine views, its enhancement layer knows another one.

    Models of predicted frames and ranges for 8 bits are left out: they belong to the layers they were made for.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    layer = trained_machine(machine, weights.config)
    tables = probability_tables(layer.entropy, weights.enhancement.entropy)
    kept = {name: told for name, told in weights.training.items() if not name.startswith("predicted")}
    training = kept | {"machine": _history(_best(machine, "machine"))}
    return replace(weights, machine=layer, tables=tables, training=training, predicted=None, ranges=None)


def with_predicted(machine: Path, enhancement: Path, weights: Weights) -> Weights:
    """`weights` with the entropy models of predicted frames that two runs trained for its layers.

    Args:
        machine, enhancement: folders of runs of `predicted-machine` and of `predicted-enhancement`.
        weights: the weights that these runs were given.

    Raises:
        CheckpointError: a folder holds no such run, or one for other layers.
        WeightsError: the profile has no predicted frames.
    """
    models = predicted_models(weights.config)
    training = dict(weights.training)
    for name, folder, model, still in (
        (_PREDICTED_MACHINE, machine, models.machine, weights.machine.entropy),
        (_PREDICTED_ENHANCEMENT, enhancement, models.enhancement, weights.enhancement.entropy),
    ):
        state = _best(folder, name)
        own, trained = still.state_dict(), state["module"].get(_STEPS)
        fits = isinstance(trained, Tensor) and torch.equal(own[_STEPS], trained)
        if state["switches"] != weights.config.switches or not fits:
            raise CheckpointError(
                f"{folder / BEST} was trained for other layers than those of model {weights.model_id.hex()}: "
                "name the weights that the run was given"
            )
        _load(model, state, folder, weights.config)
        training[name] = _history(state)
    return replace(weights, predicted=models, training=training)


def exported_comparison(run: Path, config: CodecConfig) -> ComparisonWeights:
    """The layer of a run of `human` or `difference`.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    state = _best(run, "human", "difference")
    layer = comparison_layer(config)
    _load(layer, state, run, config)
    return ComparisonWeights(state["task"], config, layer, probability_tables(layer.entropy), _history(state))


def _history(state: dict[str, Any]) -> dict[str, object]:
    return {"steps": state["step"], "recipe": state["recipe"]}


def _expect_profile(state: dict[str, Any], folder: Path, config: CodecConfig) -> None:
    if state["switches"].keys() != config.switches.keys():
        raise CheckpointError(f"{folder / BEST} holds another model: {_OF_PROFILE.format(config.name)}")


def _load(layer: nn.Module, state: dict[str, Any], folder: Path, config: CodecConfig) -> None:
    _expect_profile(state, folder, config)
    load_module(layer, state, folder / BEST, _OF_PROFILE.format(config.name))


def _best(folder: Path, *tasks: str) -> dict[str, Any]:
    path = folder / BEST
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: train first, or name another folder")
    state = read_checkpoint(path, _TRAIN_ON)
    if not isinstance(state.get("switches"), dict):
        raise CheckpointError(f"{path} is no checkpoint of a training run: {_TRAIN_ON}")
    if state.get("task") not in tasks:
        raise CheckpointError(
            f"{path} comes from a run of {state.get('task')}: name one of {' or '.join(tasks)}"
        )
    return state
