"""Weights files of the profile `paper` from the authors' checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shared_models.config import PaperConfig
from shared_models.errors import WeightsError
from shared_models.tcm.checkpoint import AuthorsCheckpoint
from shared_models.tcm.profile import paper_enhancement_layer, paper_single_layer
from shared_models.tcm.tables import paper_tables
from shared_models.weights import Weights


def imported(paths: Sequence[Path], config: PaperConfig, beside: Weights | None) -> Weights:
    """Both layers of checkpoints, with tables.

    Args:
        paths: one checkpoint, or two. Fewer slices than n make one the enhancement layer; of two with n each, the
            machine layer comes first.
        config: the profile. The enhancement layer's m is read off its checkpoint.
        beside: has the other layer where there is one checkpoint.

    Raises:
        WeightsError: a file cannot be used, or a layer is missing or there twice.
    """
    checkpoints = [AuthorsCheckpoint.read(path) for path in paths]
    machine, enhancement = _sorted(checkpoints, config.slices)
    if beside is not None and beside.config.name != config.name:
        raise WeightsError(f"the other layer is of profile {beside.config.name!r}, not {config.name!r}")
    training: dict[str, object] = {}
    if machine is not None:
        machine_layer = paper_single_layer(config)
        machine.load_into(machine_layer)
        training["machine"] = {"imported": machine.origin}
    elif beside is not None:
        machine_layer = beside.machine
        training["machine"] = beside.training.get("machine")
    else:
        raise WeightsError(
            "the machine layer is missing: name its checkpoint, too, or a weights file with it"
        )
    if enhancement is not None:
        config = replace(config, m=enhancement.slices)
        enhancement_layer = paper_enhancement_layer(config)
        enhancement.load_into(enhancement_layer)
        training["enhancement"] = {"imported": enhancement.origin}
    elif beside is not None:
        config = replace(config, m=beside.config.enhancement_slices)
        enhancement_layer = beside.enhancement
        training["enhancement"] = beside.training.get("enhancement")
    else:
        raise WeightsError(
            "the enhancement layer is missing: name its checkpoint, too, or a weights file with it"
        )
    tables = paper_tables(machine_layer.entropy, enhancement_layer.entropy)
    return Weights(config, machine_layer, enhancement_layer, tables, training)


def _sorted(
    checkpoints: Sequence[AuthorsCheckpoint], slices: int
) -> tuple[AuthorsCheckpoint | None, AuthorsCheckpoint | None]:
    """The machine layer's and the enhancement layer's."""
    whole = [checkpoint for checkpoint in checkpoints if checkpoint.slices == slices]
    fewer = [checkpoint for checkpoint in checkpoints if checkpoint.slices < slices]
    if not 1 <= len(checkpoints) <= 2 or len(whole) + len(fewer) < len(checkpoints) or len(fewer) == 2:
        held = ", ".join(f"{checkpoint.origin} ({checkpoint.slices} slices)" for checkpoint in checkpoints)
        raise WeightsError(f"a model has one machine layer and one enhancement layer, not {held}")
    added = fewer or whole[1:]
    return whole[0] if whole else None, added[0] if added else None
