"""Measure the codec's speed beside other codecs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from shared_models.codec import load_codec
from shared_models.command.as_typed import as_typed
from shared_models.complexity import kilo_macs_per_pixel
from shared_models.evaluation.peers import AVIF, JPEG, WEBP, Peer
from shared_models.evaluation.speed import Operation, Timing, codec_operations, peer_timing, pink_noise
from shared_models.evaluation.video_peers import VVC, VVC_FASTER, X265

_PEERS: Final[tuple[tuple[Peer, int], ...]] = (
    (JPEG, 75),
    (WEBP, 75),
    (AVIF, 60),
    (X265, 32),
    (VVC_FASTER, 32),
    (VVC, 32),
)
_SLOW_REPEATS: Final = 3

app = typer.Typer(help="Measure the codec's speed beside other codecs.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure speed."""


@app.command()
def codec(
    context: typer.Context,
    picture: Annotated[Path | None, typer.Option(help="A picture; 1/f noise when left out.")] = None,
    width: Annotated[int, typer.Option(min=16, max=8192)] = 1280,
    height: Annotated[int, typer.Option(min=16, max=8192)] = 720,
    repeats: Annotated[int, typer.Option(min=1, help="At most 3 for VVC and x265.")] = 15,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads in all; the encoder's two analyses share them.")
    ] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    peers: Annotated[bool, typer.Option(help="Time the other codecs' encoders, too.")] = True,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
) -> None:
    """Time encoding and decoding of one frame, stage by stage, and other codecs' encoders in the same run."""
    if picture is None:
        image = pink_noise(height, width)
    else:
        image = np.asarray(
            Image.open(picture).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        )
    subject = load_codec(device=device)
    operations = codec_operations(subject, image, repeats, threads)
    macs = [counted.total() for counted in kilo_macs_per_pixel(subject).values()]
    others = (
        [
            peer_timing(peer, image, quality, min(repeats, _SLOW_REPEATS) if peer in (X265, VVC) else repeats)
            for peer, quality in _PEERS
        ]
        if peers
        else []
    )
    console = Console()
    title = f"{width}x{height}, {subject.device.type}, {subject.dtype}, {threads} threads"
    console.print(_operations_table(title, operations, macs, threads))
    console.print(_stages_table(operations))
    if others:
        console.print(_peers_table(operations[0].timing, others))
    if out is not None:
        figures = {
            "command": as_typed(context, "bench", "codec"),
            "model": subject.model_id.hex(),
            "device": subject.device.type,
            "dtype": str(subject.dtype),
            "threads": threads,
            "width": width,
            "height": height,
            "operations": [
                asdict(operation) | {"kilo_macs_per_pixel": round(cost, 3)}
                for operation, cost in zip(operations, macs, strict=True)
            ],
            "peers": [asdict(timing) for timing in others],
        }
        out.write_text(json.dumps(figures, indent=1) + "\n")


def _operations_table(
    title: str, operations: Sequence[Operation], macs: Sequence[float], threads: int
) -> Table:
    table = Table(
        "what",
        "kMAC\n/pixel",
        "median\nms",
        "best\nms",
        "frames/s\n1 at once",
        f"frames/s\n{threads} at once",
        "bytes",
        title=title,
    )
    for operation, cost in zip(operations, macs, strict=True):
        timing = operation.timing
        table.add_row(
            timing.name,
            f"{cost:.2f}",
            f"{timing.median_ms:.1f}",
            f"{timing.best_ms:.1f}",
            f"{1000 / timing.median_ms:.1f}",
            f"{operation.frames_per_second:.1f}",
            f"{timing.size:,}",
        )
    return table


def _stages_table(operations: Sequence[Operation]) -> Table:
    table = Table("stage, one frame at a time", "within", "median, ms")
    for operation in operations:
        for stage, taken in sorted(operation.stages.items(), key=lambda item: -item[1]):
            table.add_row(stage, operation.timing.name, f"{taken:.1f}")
    return table


def _peers_table(ours: Timing, others: Sequence[Timing]) -> Table:
    table = Table("what", "median, ms", "best, ms", "bytes", "its time over ours")
    for timing in (replace(ours, name=f"{ours.name} (ours)"), *others):
        table.add_row(
            timing.name,
            f"{timing.median_ms:.1f}",
            f"{timing.best_ms:.1f}",
            f"{timing.size:,}",
            f"{timing.median_ms / ours.median_ms:.2f}",
        )
    return table
