from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared_models import Codec
from shared_models.comparison_weights import ComparisonWeights
from shared_models.config import LITE
from shared_models.errors import CheckpointError
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import machine_layer
from shared_models.training.difference import DifferenceTask
from shared_models.training.enhancement import EnhancementTask
from shared_models.training.export import exported, exported_comparison, trained_machine
from shared_models.training.human import HumanTask
from shared_models.training.learning_curve import LearningCurve
from shared_models.training.loop import (
    BEST,
    CHECKPOINT,
    CURVE,
    VALIDATION,
    Report,
    TrainingRun,
    learning_rate,
)
from shared_models.training.machine import MachineTask
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Task
from tests.shared_models.training.conftest import TINY

CPU = torch.device("cpu")


class Interrupted(Exception):
    """Stands for the end of the machine."""


def machine_run(folder: Path, photos: Photos, recipe: Recipe = TINY) -> TrainingRun:
    run = TrainingRun(lambda: MachineTask(LITE, recipe), recipe, folder, CPU)
    run.start(photos)
    return run


def until(step: int) -> Callable[[Report], None]:
    def report(now: Report) -> None:
        if now.step > step:
            raise Interrupted

    return report


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path, photos: Photos) -> None:
    whole = machine_run(tmp_path / "whole", photos)
    whole.run(photos, [], lambda report: None)
    with pytest.raises(Interrupted):
        machine_run(tmp_path / "parts", photos).run(photos, [], until(3))
    resumed = machine_run(tmp_path / "parts", photos)
    assert resumed.step == 3
    resumed.run(photos, [], lambda report: None)
    expected, found = whole.task.module.state_dict(), resumed.task.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert (tmp_path / "parts" / CURVE).read_text() == (tmp_path / "whole" / CURVE).read_text()


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C arrives, also where the tests were started in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_leaves_the_checkpoint_of_its_step(
    tmp_path: Path, photos: Photos, caplog: pytest.LogCaptureFixture
) -> None:
    def press(now: Report) -> None:
        if now.step == 2:
            signal.raise_signal(signal.SIGINT)

    recipe = replace(TINY, steps=3, start="random", save_every=100)
    whole = machine_run(tmp_path / "whole", photos, recipe)
    whole.run(photos, [], lambda report: None)
    with pytest.raises(KeyboardInterrupt):
        machine_run(tmp_path / "parts", photos, recipe).run(photos, [], press)
    assert "stopped after step 2; the same command goes on there" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = machine_run(tmp_path / "parts", photos, recipe)
    assert resumed.step == 2
    resumed.run(photos, [], lambda report: None)
    expected, found = whole.average.state_dict(), resumed.average.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert (tmp_path / "parts" / CURVE).read_text() == (tmp_path / "whole" / CURVE).read_text()


@pytest.mark.usefixtures("heard")
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, photos: Photos) -> None:
    steps: list[int] = []

    def press_twice(now: Report) -> None:
        steps.append(now.step)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        machine_run(tmp_path, photos, replace(TINY, start="random")).run(photos, [], press_twice)
    assert steps == [1]
    assert not (tmp_path / CHECKPOINT).exists()


def test_training_lowers_the_loss(tmp_path: Path, photos: Photos) -> None:
    recipe = replace(TINY, steps=40, batch=4)
    run = machine_run(tmp_path, photos, recipe)
    losses: list[float] = []
    run.run(photos, [], lambda report: losses.append(report.loss))
    assert np.mean(losses[-8:]) < np.mean(losses[:8])


def test_the_curve_has_a_row_for_every_step(tmp_path: Path, photos: Photos) -> None:
    picture = torch.from_numpy(pink_noise(64, 96)).permute(2, 0, 1)[None] / 255.0
    machine_run(tmp_path, photos).run(photos, [picture], lambda report: None)
    rows = list(csv.DictReader((tmp_path / CURVE).open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    (validated,) = csv.DictReader((tmp_path / VALIDATION).open())
    assert float(validated["psnr_3"]) > float(validated["psnr_0"])


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, photos: Photos) -> None:
    machine_run(tmp_path, photos).save()
    with pytest.raises(CheckpointError, match="another folder"):
        machine_run(tmp_path, photos, replace(TINY, seed=2))


def test_a_checkpoint_of_another_task_is_refused(tmp_path: Path, photos: Photos) -> None:
    run = TrainingRun(lambda: HumanTask(LITE, TINY), TINY, tmp_path, CPU)
    run.start(photos)
    run.save()
    with pytest.raises(CheckpointError, match="another task"):
        TrainingRun(lambda: DifferenceTask(LITE, TINY, machine_layer(LITE)), TINY, tmp_path, CPU).start(
            photos
        )


def test_rows_behind_the_checkpoint_and_rows_cut_short_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "curve.csv"
    file.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n1")
    with LearningCurve(file, 2) as curve:
        curve.add({"step": 3, "loss": 0.25})
    assert file.read_text() == "step,loss\n1,0.5\n2,0.4\n3,0.25\n"


def test_both_layers_train_and_become_a_codec(tmp_path: Path, photos: Photos) -> None:
    machine_run(tmp_path / "machine", photos).run(photos, [], lambda report: None)
    machine = trained_machine(tmp_path / "machine", LITE)
    before = {name: tensor.clone() for name, tensor in machine.state_dict().items()}
    run = TrainingRun(lambda: EnhancementTask(LITE, TINY, machine), TINY, tmp_path / "enhancement", CPU)
    run.start(photos)
    run.run(photos, [], lambda report: None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in machine.state_dict().items())
    codec = Codec(exported(tmp_path / "machine", tmp_path / "enhancement", LITE), device="cpu")
    image = pink_noise(64, 80)
    frame = codec.encode(image)
    assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape


def test_a_run_can_go_on_from_trained_weights(tmp_path: Path, photos: Photos) -> None:
    first = machine_run(tmp_path / "first", photos)
    first.run(photos, [], lambda report: None)
    second = TrainingRun(lambda: MachineTask(LITE, TINY), TINY, tmp_path / "second", CPU)
    second.start(photos, trained=first.task.module)
    expected, found = first.task.module.state_dict(), second.task.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert second.step == 0


def test_the_average_lags_and_is_what_is_exported(tmp_path: Path, photos: Photos) -> None:
    run = machine_run(tmp_path, photos)
    run.run(photos, [], lambda report: None)
    averaged, last = run.average.module.state_dict(), run.task.module.state_dict()
    assert any(not torch.equal(averaged[name], tensor) for name, tensor in last.items())
    exported_layer = trained_machine(tmp_path, LITE).state_dict()
    assert all(torch.equal(exported_layer[name], tensor) for name, tensor in averaged.items())


def test_a_later_and_worse_validation_does_not_replace_the_best(tmp_path: Path, photos: Photos) -> None:
    picture = torch.from_numpy(pink_noise(64, 96)).permute(2, 0, 1)[None] / 255.0
    run = machine_run(tmp_path, photos, replace(TINY, validate_every=3))
    run.best = 0.0
    run.run(photos, [picture], lambda report: None)
    assert not (tmp_path / BEST).exists()
    run = machine_run(tmp_path / "other", photos, replace(TINY, validate_every=3))
    run.run(photos, [picture], lambda report: None)
    rows = list(csv.DictReader((tmp_path / "other" / VALIDATION).open()))
    assert run.best == pytest.approx(min(float(row["loss"]) for row in rows), rel=1e-4)


def test_the_codecs_to_compare_with_train_and_code(tmp_path: Path, photos: Photos) -> None:
    machine = machine_layer(LITE)
    tasks: list[Task] = [HumanTask(LITE, TINY), DifferenceTask(LITE, TINY, machine)]
    for task in tasks:
        run = TrainingRun(lambda task=task: task, TINY, tmp_path / task.name, CPU)  # type: ignore[misc]
        run.start(photos)
        run.run(photos, [torch.rand(1, 3, 64, 64)], lambda report: None)
        weights = exported_comparison(tmp_path / task.name, LITE)
        weights.save(tmp_path / "again.safetensors")
        again = ComparisonWeights.load(tmp_path / "again.safetensors")
        assert (again.task, again.model_id) == (task.name, weights.model_id)


def test_a_run_of_another_task_is_refused(tmp_path: Path, photos: Photos) -> None:
    machine_run(tmp_path, photos).run(photos, [], lambda report: None)
    with pytest.raises(CheckpointError, match="run of machine"):
        exported_comparison(tmp_path, LITE)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train first"):
        trained_machine(tmp_path, LITE)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(steps=1000, warm_up=10, decay_from=0.5, learning_rate=1.0)
    assert learning_rate(recipe, 0) == pytest.approx(0.1)
    assert learning_rate(recipe, 300) == 1.0
    assert learning_rate(recipe, 750) == pytest.approx(0.5)
    assert learning_rate(recipe, 999) < 1e-4
    assert learning_rate(replace(recipe, decay_from=1.0), 999) == 1.0
