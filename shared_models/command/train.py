"""Train the codec's layers: first `machine`, then `enhancement`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn

from shared_models.config import LITE
from shared_models.device import use_threads
from shared_models.training.enhancement import EnhancementTask
from shared_models.training.export import trained_machine
from shared_models.training.loop import Report, TrainingRun
from shared_models.training.machine import MachineTask
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Task
from shared_models.weights import Weights

app = typer.Typer(help="Train the codec's layers: first `machine`, then `enhancement`.", no_args_is_help=True)

_DEFAULTS = Recipe()


PhotoFolder = Annotated[Path, typer.Option(help="Folder of training photos.")]
RunFolder = Annotated[Path, typer.Option(help="Folder of the run; an earlier run there goes on.")]
ValidationFolder = Annotated[Path | None, typer.Option(help="Folder of photos for validation.csv.")]
WeightsFile = Annotated[
    Path | None, typer.Option(help="A weights file to go on from; the photos' KLT when left out.")
]
Steps = Annotated[int, typer.Option(min=1)]
Batch = Annotated[int, typer.Option(min=1)]
Crop = Annotated[int, typer.Option(min=64, help="Side of the crops, a multiple of 64.")]
LearningRate = Annotated[float, typer.Option()]
DecayFrom = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of the steps after which the learning rate falls.")
]
Seed = Annotated[int, typer.Option()]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]


@app.command()
def machine(
    photos: PhotoFolder,
    masks: Annotated[Path, typer.Option(help="Folder of their edge masks: PNG, same stems.")],
    out: RunFolder,
    validation: ValidationFolder = None,
    weights: WeightsFile = None,
    steps: Steps = 5000,
    batch: Batch = _DEFAULTS.batch,
    crop: Crop = _DEFAULTS.crop,
    learning_rate: LearningRate = _DEFAULTS.learning_rate,
    decay_from: DecayFrom = _DEFAULTS.decay_from,
    outside: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Weight of the error outside the masks; the paper: 0.")
    ] = _DEFAULTS.outside,
    seed: Seed = _DEFAULTS.seed,
    threads: Threads = 1,
) -> None:
    """Train the machine layer, eq. (2)."""
    recipe = Recipe(
        steps=steps,
        batch=batch,
        crop=crop,
        learning_rate=learning_rate,
        decay_from=decay_from,
        outside=outside,
        seed=seed,
    )
    use_threads(threads)
    _train(
        lambda: MachineTask(LITE, recipe), recipe, photos, masks, out, validation, _layer(weights, "machine")
    )


@app.command()
def enhancement(
    photos: PhotoFolder,
    out: RunFolder,
    machine: Annotated[
        Path | None, typer.Option(help="Folder of the machine layer's run; that of --weights when left out.")
    ] = None,
    validation: ValidationFolder = None,
    weights: WeightsFile = None,
    unconditioned: Annotated[
        bool, typer.Option("--unconditioned", help="Do not show the machine layer to the entropy model.")
    ] = False,
    free: Annotated[
        bool, typer.Option("--free", help="Code latents of their own, not the difference to the machine's.")
    ] = False,
    steps: Steps = 7000,
    batch: Batch = _DEFAULTS.batch,
    crop: Crop = _DEFAULTS.crop,
    learning_rate: LearningRate = _DEFAULTS.learning_rate,
    decay_from: DecayFrom = _DEFAULTS.decay_from,
    seed: Seed = _DEFAULTS.seed,
    threads: Threads = 1,
) -> None:
    """Train the enhancement layer beside a frozen machine layer, eq. (3)."""
    recipe = Recipe(
        steps=steps, batch=batch, crop=crop, learning_rate=learning_rate, decay_from=decay_from, seed=seed
    )
    use_threads(threads)
    if machine is not None:
        frozen = trained_machine(machine, LITE)
    elif weights is not None:
        frozen = Weights.load(weights).machine
    else:
        raise typer.BadParameter("name the machine layer by --machine or by --weights")
    config = replace(LITE, condition_on_machine=not unconditioned, residual=not free)
    _train(
        lambda: EnhancementTask(config, frozen),
        recipe,
        photos,
        None,
        out,
        validation,
        _layer(weights, "enhancement"),
    )


def _train(
    make_task: Callable[[], Task],
    recipe: Recipe,
    folder: Path,
    masks: Path | None,
    out: Path,
    validation: Path | None,
    trained: nn.Module | None,
) -> None:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    ) as progress:
        reading = progress.add_task("photos", figures="", total=None)

        def read(count: int, total: int) -> None:
            progress.update(reading, completed=count, total=total)

        photos = Photos(folder, masks, recipe.crop, read)
        run = TrainingRun(make_task, recipe, out)
        run.start(photos, trained)
        bar = progress.add_task("steps", figures="", total=recipe.steps, completed=run.step)

        def show(report: Report) -> None:
            figures = f"loss {report.loss:.3f}  {report.bits_per_pixel:.3f} bpp  {report.psnr:.2f} dB"
            progress.update(bar, completed=report.step, figures=figures)

        run.run(photos, _validation(validation, recipe.validation_photos), show)


def _layer(weights: Path | None, name: str) -> nn.Module | None:
    if weights is None:
        return None
    loaded = Weights.load(weights)
    return {"machine": loaded.machine, "enhancement": loaded.enhancement}[name]


def _validation(folder: Path | None, count: int) -> list[Tensor]:
    """The first photos of a folder, cut to multiples of 16 pixels."""
    if folder is None:
        return []
    pictures = []
    for path in sorted(folder.glob("*.png"))[:count]:
        pixels = np.array(Image.open(path).convert("RGB"))
        height, width = (side // 16 * 16 for side in pixels.shape[:2])
        pictures.append(torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].float() / 255.0)
    return pictures
