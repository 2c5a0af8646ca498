"""Measure the codec's speed beside other codecs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from shared_models.codec import load_codec
from shared_models.command.as_typed import as_typed
from shared_models.evaluation.peers import AVIF, JPEG, WEBP
from shared_models.evaluation.speed import codec_timings, peer_timing, pink_noise

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
    repeats: Annotated[int, typer.Option(min=1)] = 15,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads in all; the encoder's two analyses share them.")
    ] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
) -> None:
    """Time encoding and decoding of one frame; WebP's encoder in the same run is the measure."""
    if picture is None:
        image = pink_noise(height, width)
    else:
        image = np.asarray(
            Image.open(picture).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        )
    subject = load_codec(device=device)
    anchor = peer_timing(WEBP, image, 75, repeats)
    timings = [*codec_timings(subject, image, repeats, threads), anchor]
    timings += [peer_timing(peer, image, quality, repeats) for peer, quality in ((JPEG, 75), (AVIF, 60))]
    table = Table(
        "what",
        "median, ms",
        "best, ms",
        "frames/s",
        "times WebP",
        "bytes",
        title=f"{width}x{height}, {subject.device.type}, {subject.dtype}, {threads} threads",
    )
    for timing in timings:
        table.add_row(
            timing.name,
            f"{timing.median_ms:.1f}",
            f"{timing.best_ms:.1f}",
            f"{1000 / timing.median_ms:.1f}",
            f"{timing.median_ms / anchor.median_ms:.2f}",
            f"{timing.size:,}",
        )
    Console().print(table)
    if out is not None:
        figures = {
            "command": as_typed(context, "bench", "codec"),
            "model": subject.model_id.hex(),
            "device": subject.device.type,
            "dtype": str(subject.dtype),
            "threads": threads,
            "width": width,
            "height": height,
            "timings": [asdict(timing) for timing in timings],
        }
        out.write_text(json.dumps(figures, indent=1) + "\n")
