from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_models.config import LITE, PAPER
from shared_models.errors import CheckpointError, WeightsError
from shared_models.profile import comparison_layer
from shared_models.training.enhancement import EnhancementTask
from shared_models.training.export import exported, exported_comparison, trained_machine, with_predicted
from shared_models.training.loop import BEST, CHECKPOINT, TrainingRun
from shared_models.training.machine import MachineTask
from shared_models.training.photos import Photos
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.training.conftest import TINY

CPU = torch.device("cpu")
QUICK = replace(TINY, start="random")


def machine_run(folder: Path) -> TrainingRun:
    return TrainingRun(lambda: MachineTask(LITE, QUICK), QUICK, folder, CPU)


def changed(path: Path, **values: Any) -> None:
    torch.save(torch.load(path, weights_only=True) | values, path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def a_text(path: Path) -> None:
    path.write_text("no checkpoint")


def without_weights(path: Path) -> None:
    torch.save({"step": 1, "recipe": {}}, path)


def a_list(path: Path) -> None:
    torch.save([1, 2], path)


@pytest.fixture
def run(tmp_path: Path, photos: Photos) -> Path:
    """A folder with both checkpoints of a run of the machine layer."""
    run = machine_run(tmp_path / "run")
    run.start(photos)
    run.save()
    shutil.copy(tmp_path / "run" / CHECKPOINT, tmp_path / "run" / BEST)
    return tmp_path / "run"


DAMAGE = [truncated, a_text, without_weights, a_list]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_does_not_go_on_from_a_damaged_checkpoint(
    run: Path, photos: Photos, damage: Callable[[Path], None]
) -> None:
    damage(run / CHECKPOINT)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt .*: use another folder, or delete it"):
        machine_run(run).start(photos)


@pytest.mark.parametrize("lacking", ["optimizer", "average", "best"])
def test_a_run_does_not_go_on_without_all_of_its_state(run: Path, photos: Photos, lacking: str) -> None:
    state = torch.load(run / CHECKPOINT, weights_only=True)
    del state[lacking]
    torch.save(state, run / CHECKPOINT)
    with pytest.raises(CheckpointError, match="lacks what a run goes on from"):
        machine_run(run).start(photos)


def test_weights_of_another_model_are_refused(run: Path, photos: Photos) -> None:
    with pytest.raises(WeightsError, match="do not fit profile lite"):
        machine_run(run.parent / "other").start(photos, comparison_layer(LITE))
    changed(run / CHECKPOINT, module=comparison_layer(LITE).state_dict())
    with pytest.raises(CheckpointError, match="holds another model: use another folder"):
        machine_run(run).start(photos)


@pytest.mark.parametrize("damage", DAMAGE)
def test_nothing_is_exported_from_damaged_weights(run: Path, damage: Callable[[Path], None]) -> None:
    damage(run / BEST)
    with pytest.raises(CheckpointError, match=r"best\.pt .*: train again, or name another folder"):
        trained_machine(run, LITE)


def test_a_run_of_another_profile_is_refused(run: Path) -> None:
    enhancement = run.parent / "enhancement"
    shutil.copytree(run, enhancement)
    changed(enhancement / BEST, task=EnhancementTask.name)
    with pytest.raises(CheckpointError, match="name a run of profile paper"):
        exported(run, enhancement, PAPER)
    with pytest.raises(CheckpointError, match="name a run of profile lite"):
        exported(run, enhancement, LITE)
    changed(run / BEST, switches=PAPER.switches)
    with pytest.raises(CheckpointError, match="name a run of profile lite"):
        exported(run, run.parent / "enhancement", LITE)


def test_models_of_other_layers_are_refused(run: Path) -> None:
    changed(run / BEST, task="human")
    with pytest.raises(CheckpointError, match="name a run of profile lite"):
        exported_comparison(run, LITE)
    changed(run / BEST, task="predicted-machine")
    with pytest.raises(CheckpointError, match="trained for other layers"):
        with_predicted(run, run, Weights.load(shipped_weights("lite")))
