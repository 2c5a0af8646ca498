"""Make the edge masks that training the machine layer needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from shared_models.command.printing import AsJson, console_for, print_json, progress_for
from shared_models.device import resolved_device, use_threads
from shared_models.masks.choice import Method, edge_method
from shared_models.masks.config import DEFAULTS
from shared_models.masks.folder import MANIFEST, make_masks
from shared_models.photo_folder import photo_set


def masks(
    photos: Annotated[
        Path, typer.Argument(help="Folder of photos, or the root of COCO, VisDrone or Cityscapes.")
    ],
    out: Annotated[
        Path, typer.Option(help="Receives one PNG per photo, white on edges; those there are kept.")
    ],
    method: Annotated[
        Method, typer.Option(help="auto: sam with a checkpoint, else hed if its weights are installed.")
    ] = Method.AUTO,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Segment Anything's weights: ViT-B, -L, -H or MobileSAM's.")
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="sam: threshold on the segments' predicted IoU, alpha.")
    ] = DEFAULTS.confidence,
    width: Annotated[
        int, typer.Option(min=1, max=64, help="Of the white lines, in pixels; 1: as they are found.")
    ] = DEFAULTS.width,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Make the edge masks that training the machine layer needs, eq. (2).

    Edges are the outlines of Segment Anything's segments as in SA-ICM (sam), boundaries of regions that a learned edge
    detector tells apart (hed), or mere gradients (gradient).
    """
    console = console_for(as_json)
    use_threads(threads)
    found = photo_set(photos)
    finder = edge_method(
        method, checkpoint, replace(DEFAULTS, confidence=confidence), resolved_device(device)
    )
    console.print(f"{len(found.paths)} photos ({found.layout}), edges by {finder.name}")
    with progress_for(
        TextColumn("masks"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ) as progress:
        bar = progress.add_task("masks", total=None)
        outcome = make_masks(
            found,
            finder,
            width,
            out,
            lambda count, total: progress.update(bar, completed=count, total=total),
        )
    if as_json:
        print_json(
            {
                "made": outcome.made,
                "kept": outcome.kept,
                "skipped": list(outcome.skipped),
                "manifest": str(out / MANIFEST),
            }
        )
    for reason in outcome.skipped:
        console.print(f"skipped: {reason}", markup=False, highlight=False)
    console.print(
        f"{outcome.made} masks made, {outcome.kept} kept, {len(outcome.skipped)} photos skipped; see {out / MANIFEST}"
    )
