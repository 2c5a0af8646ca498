from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared_models import Codec
from shared_models.config import LITE
from shared_models.errors import CheckpointError
from shared_models.evaluation.speed import pink_noise
from shared_models.group import GroupEncoder
from shared_models.layer import LayerEntropyModel
from shared_models.training.cutouts import Cutouts
from shared_models.training.export import with_machine, with_predicted
from shared_models.training.loop import BEST, Report, TrainingRun
from shared_models.training.machine import MachineTask
from shared_models.training.photos import Photos
from shared_models.training.predicted import PredictedEnhancementTask, PredictedMachineTask
from shared_models.training.recipe import Recipe
from shared_models.training.task import Randomness
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.training.conftest import TINY, annotated

CPU = torch.device("cpu")
Task = type[PredictedMachineTask] | type[PredictedEnhancementTask]
TASKS: tuple[Task, ...] = (PredictedMachineTask, PredictedEnhancementTask)
both_layers = pytest.mark.parametrize("task", TASKS)


class Interrupted(Exception):
    """Stands for the end of the machine."""


@pytest.fixture
def weights() -> Weights:
    return Weights.load(shipped_weights("lite"))


@pytest.fixture
def cutouts(folders: tuple[Path, Path]) -> Cutouts:
    return Cutouts(annotated(folders[0]), folders[0])


def started(
    task: Task, folder: Path, photos: Photos, weights: Weights, cutouts: Cutouts, recipe: Recipe = TINY
) -> TrainingRun:
    def make() -> PredictedMachineTask | PredictedEnhancementTask:
        return task(LITE, recipe, weights.machine, weights.enhancement, cutouts)

    run = TrainingRun(make, recipe, folder, CPU)
    run.start(photos)
    return run


def until(step: int) -> Callable[[Report], None]:
    def report(now: Report) -> None:
        if now.step > step:
            raise Interrupted

    return report


def still(task: Task, weights: Weights) -> LayerEntropyModel:
    layer = weights.machine if task is PredictedMachineTask else weights.enhancement
    assert isinstance(layer.entropy, LayerEntropyModel)
    return layer.entropy


@both_layers
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    tmp_path: Path, photos: Photos, weights: Weights, cutouts: Cutouts, task: Task
) -> None:
    whole = started(task, tmp_path / "whole", photos, weights, cutouts)
    whole.run(photos, [], lambda report: None)
    with pytest.raises(Interrupted):
        started(task, tmp_path / "parts", photos, weights, cutouts).run(photos, [], until(3))
    resumed = started(task, tmp_path / "parts", photos, weights, cutouts)
    assert resumed.step == 3
    resumed.run(photos, [], lambda report: None)
    expected, found = whole.task.module.state_dict(), resumed.task.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert torch.equal(found["log_gain"], still(task, weights).state_dict()["log_gain"])


@both_layers
def test_training_lowers_the_loss_and_leaves_both_layers_alone(
    photos: Photos, weights: Weights, cutouts: Cutouts, task: Task
) -> None:
    layers = torch.nn.ModuleList([weights.machine, weights.enhancement])
    before = {name: tensor.clone() for name, tensor in layers.state_dict().items()}
    subject = task(LITE, TINY, weights.machine, weights.enhancement, cutouts)
    subject.start(photos, np.random.default_rng(1))
    subject.to(CPU)
    optimizer = torch.optim.Adam(subject.module.parameters(), lr=5e-4)
    crops, losses = photos.crops(2, np.random.default_rng(1)), []
    for _ in range(12):
        outcome = subject.outcome(crops, Randomness.of_step(1, 2, CPU))
        optimizer.zero_grad()
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(outcome.loss.item())
    assert losses[-1] < 0.98 * losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in layers.state_dict().items())


@both_layers
def test_nothing_but_what_changed_costs_bits(
    photos: Photos, weights: Weights, cutouts: Cutouts, task: Task
) -> None:
    subject = task(LITE, TINY, weights.machine, weights.enhancement, cutouts)
    subject.start(photos, np.random.default_rng(1))
    subject.to(CPU)
    picture = torch.from_numpy(pink_noise(128, 160)).permute(2, 0, 1)[None] / 255.0
    figures = subject.validate(picture)
    levels = [figures[f"bpp_{level}"] for level in range(4)]
    assert levels == sorted(levels)
    assert figures == subject.validate(picture)
    codec = Codec(weights, "cpu")
    frame = codec.encode((picture[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8), quality=3)
    coded = frame.machine if task is PredictedMachineTask else frame.enhancement
    assert levels[-1] < 0.7 * 8 * len(coded) / picture[0, 0].numel()


@pytest.fixture
def runs(tmp_path: Path, photos: Photos, weights: Weights, cutouts: Cutouts) -> tuple[Path, Path]:
    """Folders of short runs of both tasks."""
    short = replace(TINY, steps=1, batch=1)
    for task in TASKS:
        started(task, tmp_path / task.name, photos, weights, cutouts, short).run(
            photos, [], lambda report: None
        )
    return tmp_path / PredictedMachineTask.name, tmp_path / PredictedEnhancementTask.name


def test_both_runs_become_weights_that_predict(
    tmp_path: Path, runs: tuple[Path, Path], weights: Weights
) -> None:
    joined = with_predicted(*runs, weights)
    assert joined.model_id == weights.model_id
    assert joined.predicting_id != weights.predicting_id
    assert joined.machine_id == weights.machine_id
    assert joined.training.keys() == {"machine", "enhancement", *(task.name for task in TASKS)}
    joined.save(tmp_path / "joined.safetensors")
    loaded = Weights.load(tmp_path / "joined.safetensors")
    assert (loaded.predicting_id, loaded.training) == (joined.predicting_id, joined.training)
    assert loaded.predicted is not None
    trained = torch.load(runs[0] / BEST, weights_only=True)["module"]
    found = loaded.predicted.machine.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in trained.items())
    encoder = GroupEncoder(Codec(loaded, "cpu"))
    assert [encoder.encode(pink_noise(64, 80), encoder.turn()).key for _ in range(2)] == [1, 1]


def test_runs_of_another_task_or_for_other_layers_are_refused(
    tmp_path: Path, photos: Photos, runs: tuple[Path, Path], weights: Weights
) -> None:
    machine, enhancement = runs
    with pytest.raises(CheckpointError, match="name one of predicted-machine"):
        with_predicted(enhancement, enhancement, weights)
    with pytest.raises(CheckpointError, match="train first"):
        with_predicted(machine, tmp_path / "nothing", weights)
    another = TrainingRun(lambda: MachineTask(LITE, TINY), replace(TINY, steps=1), tmp_path / "another", CPU)
    another.start(photos)
    another.run(photos, [], lambda report: None)
    other = with_machine(tmp_path / "another", with_predicted(machine, enhancement, weights))
    assert other.predicted is None
    assert other.training.keys() == {"machine", "enhancement"}
    with pytest.raises(CheckpointError, match="trained for other layers"):
        with_predicted(machine, enhancement, other)
