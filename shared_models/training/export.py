"""From checkpoints to a weights file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from shared_models.config import CodecConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.errors import CheckpointError
from shared_models.machine import MachineLayer
from shared_models.tables import gaussian_tables
from shared_models.training.loop import BEST
from shared_models.weights import Weights


def trained_machine(folder: Path, config: CodecConfig) -> MachineLayer:
    """The machine layer of a run.

    Raises:
        CheckpointError: the folder holds no such run.
    """
    layer = MachineLayer(config)
    layer.load_state_dict(_checkpoint(folder)["module"])
    return layer


def exported(machine: Path, enhancement: Path, config: CodecConfig) -> Weights:
    """Both layers of two runs, with tables.

    Raises:
        CheckpointError: a folder holds no such run.
    """
    states = {"machine": _checkpoint(machine), "enhancement": _checkpoint(enhancement)}
    config = replace(config, **states["enhancement"].get("switches", {}))
    layer = EnhancementLayer(config)
    layer.load_state_dict(states["enhancement"]["module"])
    training: dict[str, object] = {
        name: {"steps": state["step"], "recipe": state["recipe"]} for name, state in states.items()
    }
    return Weights(config, trained_machine(machine, config), layer, gaussian_tables(), training)


def _checkpoint(folder: Path) -> dict[str, Any]:
    path = folder / BEST
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: train first, or name another folder")
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return state
