"""The training loop: resumable to the step, seeded, with a learning curve."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.errors import CheckpointError
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Randomness, Task

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
VALIDATION = "validation.csv"


@dataclass(frozen=True)
class Report:
    """State after a step, averaged over the steps since the last report."""

    step: int
    loss: float
    bits_per_pixel: float
    psnr: float


class TrainingRun:
    """Trains a layer in `folder`, going on from the checkpoint there if there is one.

    Args:
        make_task: makes the layer; called once the random numbers are seeded.
        recipe: the numbers of the run.
        folder: receives the checkpoint, ``curve.csv`` and ``validation.csv``.

    Raises:
        CheckpointError: the folder's checkpoint belongs to a run with another seed, batch or crop.
    """

    def __init__(self, make_task: Callable[[], Task], recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.task = make_task()
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.optimizer = torch.optim.Adam(self.task.module.parameters(), lr=recipe.learning_rate)

    def start(self, photos: Photos, trained: nn.Module | None = None) -> None:
        """Load the checkpoint; without one, begin with the weights of `trained`, or else from the photos' KLT."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            if trained is not None:
                self.task.module.load_state_dict(trained.state_dict())
            else:
                self.task.start(photos, np.random.default_rng(self.recipe.seed))
            return
        state = torch.load(path, weights_only=True)
        before = Recipe.from_dict(state["recipe"])
        if (before.seed, before.batch, before.crop) != (
            self.recipe.seed,
            self.recipe.batch,
            self.recipe.crop,
        ):
            raise CheckpointError(
                f"{path} comes from a run with another seed, batch or crop: use another folder"
            )
        self.task.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def run(self, photos: Photos, validation: Sequence[Tensor], report: Callable[[Report], None]) -> None:
        """Train to the recipe's last step.

        Args:
            photos: to train on.
            validation: photos (1, 3, H, W) for ``validation.csv``.
            report: called after every step.
        """
        recipe = self.recipe
        with (
            Curve(self.folder / CURVE, self.step) as curve,
            Curve(self.folder / VALIDATION, self.step) as validated,
        ):
            while self.step < recipe.steps:
                rate = learning_rate(recipe, self.step)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                randomness = Randomness.of_step(recipe.seed, self.step)
                outcome = self.task.outcome(photos.crops(recipe.batch, randomness.numbers), randomness)
                self.optimizer.zero_grad(set_to_none=True)
                outcome.loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.task.module.parameters(), recipe.gradient_norm)
                self.optimizer.step()
                self.step += 1
                psnr = -10.0 * math.log10(max(outcome.mean_squared_error, 1e-10))
                now = Report(self.step, outcome.loss.item(), outcome.bits_per_pixel, psnr)
                curve.add(
                    {"step": now.step, "loss": now.loss, "bpp": now.bits_per_pixel, "psnr": psnr, "lr": rate}
                )
                report(now)
                last = self.step == recipe.steps
                if self.step % recipe.save_every == 0 or last:
                    self.save()
                if validation and (self.step % recipe.validate_every == 0 or last):
                    validated.add({"step": self.step} | self._validate(validation))

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state: dict[str, Any] = {
            "module": self.task.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "recipe": self.recipe.as_dict(),
            "switches": self.task.config.switches,
        }
        temporary = self.folder / f"{CHECKPOINT}.part"
        torch.save(state, temporary)
        temporary.replace(self.folder / CHECKPOINT)

    def _validate(self, validation: Sequence[Tensor]) -> dict[str, float]:
        figures = [self.task.validate(pixels) for pixels in validation]
        return {name: sum(figure[name] for figure in figures) / len(figures) for name in figures[0]}


class Curve:
    """A CSV file that grows by a row at a time; its columns are those of the first row, the first of them `step`.

    Rows beyond step `last`, which an interrupted run left behind its checkpoint, are dropped on opening.
    """

    def __init__(self, path: Path, last: int) -> None:
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = lines[:1] + [line for line in lines[1:] if int(line.partition(",")[0]) <= last]
        path.write_text("".join(kept))
        self._file = path.open("a", newline="")
        self._writer: csv.DictWriter[str] | None = None
        self._empty = not kept

    def __enter__(self) -> Curve:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()

    def add(self, row: dict[str, float]) -> None:
        """Append `row`."""
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            if self._empty:
                self._writer.writeheader()
        self._writer.writerow(
            {name: value if name == "step" else f"{value:.6g}" for name, value in row.items()}
        )
        self._file.flush()


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant, then a cosine to nothing."""
    warm = min(1.0, (step + 1) / recipe.warm_up)
    first = recipe.decay_from * recipe.steps
    share = max(0.0, (step - first) / (recipe.steps - first))
    return recipe.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
