"""Measure what it costs to keep frames on disk until the server has them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edge.spool_bench import Cost, SpoolBench, measure
from shared_models import load_codec
from shared_models.command.options import FiguresFile
from shared_models.command.printing import AsJson, console_for, put_figures


def spool(
    folder: Annotated[Path, typer.Argument(help="Folder on the disk that is to be measured.")] = Path(),
    frames: Annotated[int, typer.Option(min=10, help="Frames at each level of sync.")] = 500,
    width: Annotated[int, typer.Option(help="Of the picture.")] = 640,
    height: Annotated[int, typer.Option(help="Of the picture.")] = 360,
    profile: Annotated[str, typer.Option(help="The codec's profile.")] = "lite",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure what it costs to keep frames on disk until the server has them.

    Every figure stands beside the time that the same frame takes to encode and that the same bytes take at the end of a
    plain file, all measured in one run.
    """
    codec = load_codec(profile, device=device, eight_bit=True)
    bench = asyncio.run(measure(codec, folder, frames, width, height))
    console_for(as_json).print(_table(bench))
    put_figures(asdict(bench), out, as_json, indent=2)


def _table(bench: SpoolBench) -> Table:
    table = Table(
        "",
        "frames/s",
        "mean",
        "longest",
        "of encoding",
        "of appending",
        title=_title(bench),
        title_justify="left",
    )

    def add(name: str, cost: Cost) -> None:
        table.add_row(
            name,
            f"{1e6 / cost.mean_us:.0f}",
            f"{cost.mean_us / 1e3:.3f} ms",
            f"{cost.longest_us / 1e3:.1f} ms",
            f"{cost.mean_us / bench.encode.mean_us:.2%}",
            f"{cost.mean_us / bench.append.mean_us:.1f} x",
        )

    add("encode", bench.encode)
    add("append", bench.append)
    add("append and sync", bench.append_and_sync)
    for costs in bench.spools:
        add(f"sync {costs.sync}: put", costs.put)
        add(f"sync {costs.sync}: send", costs.send)
        add(f"sync {costs.sync}: acknowledge", costs.acknowledge)
    return table


def _title(bench: SpoolBench) -> str:
    return f"{bench.frames} frames of {bench.frame_bytes / 1e3:.1f} kB"
