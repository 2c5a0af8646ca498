"""A training run from folders to weights, with a progress bar."""

from __future__ import annotations

from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from shared_models.command.printing import progress_for
from shared_models.training.loop import Report, TrainingRun
from shared_models.training.photos import Photos
from shared_models.training.validation import validation_photos


def trained(
    run: TrainingRun, photos: Path, masks: Path | None, validation: Path | None, begin_with: nn.Module | None
) -> Report | None:
    """Read the photos, then start or go on with `run` until its last step; how that went, if any was left.

    Raises:
        TrainingError: the photos cannot be used, or the folder holds another run.
    """
    last: Report | None = None
    with progress_for(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    ) as progress:
        reading = progress.add_task("photos", figures="", total=None)

        pictures = validation_photos(validation, run.recipe.validation_photos)

        def read(count: int, total: int) -> None:
            progress.update(reading, completed=count, total=total)

        pool = Photos(photos, masks, run.recipe.crop, read)
        run.start(pool, begin_with)
        bar = progress.add_task("steps", figures="", total=run.recipe.steps, completed=run.step)

        def show(report: Report) -> None:
            nonlocal last
            last = report
            figures = f"loss {report.loss:.3f}  {report.bits_per_pixel:.3f} bpp  {report.psnr:.2f} dB"
            progress.update(bar, completed=report.step, figures=figures)

        run.run(pool, pictures, show)
    return last
