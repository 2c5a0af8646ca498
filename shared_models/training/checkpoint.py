"""Reads what the training loop writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from shared_models.errors import CheckpointError

_HELD: Final = {"module": Mapping, "recipe": Mapping, "step": int}
"""What every checkpoint has, and what that is."""


def read_checkpoint(path: Path, remedy: str) -> dict[str, Any]:
    """A file that a training run wrote, on the CPU.

    Args:
        path: the file.
        remedy: what to do if it is none, for the error.

    Raises:
        CheckpointError: it is damaged, or something else.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch's reader lets through whatever damaged bytes lead it to
        raise CheckpointError(f"{path} is damaged, or no checkpoint: {remedy}") from error
    if not isinstance(state, dict) or not all(
        isinstance(state.get(key), kind) for key, kind in _HELD.items()
    ):
        raise CheckpointError(f"{path} is no checkpoint of a training run: {remedy}")
    return state


def load_module(module: nn.Module, state: Mapping[str, Any], path: Path, remedy: str) -> None:
    """Give `module` the weights of a checkpoint.

    Raises:
        CheckpointError: they are another module's; `remedy` says what to do then.
    """
    try:
        module.load_state_dict(state["module"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} holds another model: {remedy}") from error
