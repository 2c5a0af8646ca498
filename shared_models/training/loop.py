"""The training loop: resumable to the step, seeded, with a learning curve."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from shared_models.errors import CheckpointError, RecipeError, WeightsError
from shared_models.training.checkpoint import load_module, read_checkpoint
from shared_models.training.interruption import Interruption
from shared_models.training.learning_curve import LearningCurve
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Randomness, Task

_log = logging.getLogger(__name__)

CHECKPOINT: Final = "checkpoint.pt"
BEST: Final = "best.pt"
"""Averaged weights of the best validation, or of the last step when there is none, without the optimizer's state."""
CURVE: Final = "curve.csv"
VALIDATION: Final = "validation.csv"
_BEGIN_ANEW: Final = "use another folder, or delete it to begin anew"


@dataclass(frozen=True)
class Report:
    """State after a step."""

    step: int
    loss: float
    bits_per_pixel: float
    psnr: float


class TrainingRun:
    """Trains a layer in `folder`, going on from the checkpoint there if there is one.

    Args:
        make_task: makes the layer; called once the random numbers are seeded.
        recipe: the numbers of the run.
        folder: receives the checkpoint, the best weights, ``curve.csv``, ``validation.csv`` and TensorBoard's files.
        device: what computes.
    """

    def __init__(
        self, make_task: Callable[[], Task], recipe: Recipe, folder: Path, device: torch.device
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.task = make_task()
        self.recipe = recipe
        self.folder = folder
        self.device = device
        self.step = 0
        self.best = math.inf
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, photos: Photos, trained: nn.Module | None = None) -> None:
        """Load the checkpoint; without one, begin with the weights of `trained`, or else from the photos.

        Raises:
            CheckpointError: the folder's checkpoint is damaged, or belongs to a run of another task, or with another
                seed, batch, crop or other switches.
            WeightsError: the weights of `trained` do not fit.
        """
        path = self.folder / CHECKPOINT
        state = read_checkpoint(path, _BEGIN_ANEW) if path.exists() else None
        if state is not None:
            self._expect_same_run(state)
            load_module(self.task.module, state, path, _BEGIN_ANEW)
        elif trained is not None:
            try:
                self.task.module.load_state_dict(trained.state_dict())
            except RuntimeError as error:
                raise WeightsError(
                    f"the weights to go on from do not fit profile {self.task.config.name}: name weights of its own"
                ) from error
        else:
            self.task.start(photos, np.random.default_rng(self.recipe.seed))
        self.task.to(self.device)
        self.average = AveragedModel(self.task.module, avg_fn=self._averaged)
        self.optimizer = torch.optim.Adam(self.task.module.parameters(), lr=self.recipe.learning_rate)
        if state is not None:
            try:
                self.optimizer.load_state_dict(state["optimizer"])
                self.average.load_state_dict(state["average"])
                self.step, self.best = state["step"], state["best"]
            except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
                raise CheckpointError(f"{path} lacks what a run goes on from: {_BEGIN_ANEW}") from error

    def run(self, photos: Photos, validation: Sequence[Tensor], report: Callable[[Report], None]) -> None:
        """Train to the recipe's last step.

        Args:
            photos: to train on.
            validation: photos (1, 3, H, W) for ``validation.csv``.
            report: called after every step.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is that of the step it fell into.
        """
        recipe = self.recipe
        with (
            LearningCurve(self.folder / CURVE, self.step) as curve,
            LearningCurve(self.folder / VALIDATION, self.step) as validated,
            Interruption() as interruption,
        ):
            while self.step < recipe.steps:
                rate = learning_rate(recipe, self.step)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                randomness = Randomness.of_step(recipe.seed, self.step, self.device)
                crops = photos.crops(recipe.batch, randomness.numbers)
                outcome = self.task.outcome(
                    Crops(crops.pixels.to(self.device), crops.masks.to(self.device)), randomness
                )
                self.optimizer.zero_grad(set_to_none=True)
                outcome.loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.task.module.parameters(), recipe.gradient_norm)
                self.optimizer.step()
                self.average.update_parameters(self.task.module)
                self.step += 1
                psnr = -10.0 * math.log10(max(outcome.mean_squared_error, 1e-10))
                now = Report(self.step, outcome.loss.item(), outcome.bits_per_pixel, psnr)
                curve.add(
                    {"step": now.step, "loss": now.loss, "bpp": now.bits_per_pixel, "psnr": psnr, "lr": rate}
                )
                report(now)
                last = self.step == recipe.steps
                if validation and (self.step % recipe.validate_every == 0 or last):
                    figures = self.validate(validation)
                    validated.add({"step": self.step} | figures)
                    if figures["loss"] < self.best:
                        self.best = figures["loss"]
                        self._write(BEST, {"module": self.average.module.state_dict()})
                elif last and not validation:
                    self._write(BEST, {"module": self.average.module.state_dict()})
                if self.step % recipe.save_every == 0 or last or interruption.wanted:
                    self.save()
                if interruption.wanted:
                    _log.warning(
                        "%s: stopped after step %d; the same command goes on there", self.folder, self.step
                    )
                    raise KeyboardInterrupt

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "module": self.task.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
        }
        self._write(CHECKPOINT, state)

    def validate(self, validation: Sequence[Tensor]) -> dict[str, float]:
        """Means of the task's figures over photos (1, 3, H, W), by the averaged weights."""
        with self._average_in_place():
            figures = [self.task.validate(pixels.to(self.device)) for pixels in validation]
        return {name: sum(figure[name] for figure in figures) / len(figures) for name in figures[0]}

    def _write(self, name: str, state: dict[str, Any]) -> None:
        about = {
            "task": self.task.name,
            "step": self.step,
            "recipe": self.recipe.as_dict(),
            "switches": self.task.config.switches,
        }
        temporary = self.folder / f"{name}.part"
        torch.save(state | about, temporary)
        temporary.replace(self.folder / name)

    @contextmanager
    def _average_in_place(self) -> Iterator[None]:
        module = self.task.module
        current = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.average.module.state_dict())
        try:
            yield
        finally:
            module.load_state_dict(current)

    def _averaged(self, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        """One step of the moving average, whose memory grows with the run until it has the recipe's length."""
        decay = min(self.recipe.average, (1.0 + float(count)) / (10.0 + float(count)))
        return average + (1.0 - decay) * (current - average)

    def _expect_same_run(self, state: dict[str, Any]) -> None:
        now = self.recipe
        try:
            before = Recipe.from_checkpoint(state["recipe"])
        except (RecipeError, TypeError) as error:
            raise CheckpointError(
                f"{self.folder / CHECKPOINT} has a recipe that cannot be ({error}): {_BEGIN_ANEW}"
            ) from error
        own = self.task.config.switches
        # Older checkpoints do not name their task.
        if state.get("task", self.task.name) != self.task.name or state.get("switches", own) != own:
            raise CheckpointError(
                f"{self.folder / CHECKPOINT} comes from another task or other switches: use another folder"
            )
        if (before.seed, before.batch, before.crop) != (now.seed, now.batch, now.crop):
            raise CheckpointError(
                f"{self.folder / CHECKPOINT} comes from a run with another seed, batch or crop: use another folder"
            )


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant, then a cosine to nothing."""
    warm = min(1.0, (step + 1) / recipe.warm_up)
    first = recipe.decay_from * recipe.steps
    share = 0.0 if step < first else (step - first) / (recipe.steps - first)
    return recipe.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
