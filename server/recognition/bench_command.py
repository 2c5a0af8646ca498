"""Measure how many frames a second recognisers look at, beside the decoding of a machine view in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from server.recognition import load_recogniser
from server.recognition.looking import look
from shared_models import load_codec, use_threads
from shared_models.command.as_typed import as_typed
from shared_models.command.options import FiguresFile
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures
from shared_models.evaluation.speed import picture_to_time

_SCORE = 0.3


@dataclass(frozen=True)
class Pace:
    """One recogniser at one size of batch.

    Attributes:
        frames_per_second: from the median time of a call.
        of_decoding: its time for a frame over that of decoding a machine view.
    """

    recogniser: str
    batch: int
    frames_per_second: float
    of_decoding: float


def recognition(
    context: typer.Context,
    recogniser: Annotated[
        list[str] | None, typer.Option(help="A recogniser's address; repeat it for more.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A photo to look at; noise with the spectrum of photos without it.")
    ] = None,
    width: Annotated[int, typer.Option(min=16, max=8192, help="Of the picture, pixels.")] = 1280,
    height: Annotated[int, typer.Option(min=16, max=8192, help="Of the picture, pixels.")] = 720,
    calls: Annotated[int, typer.Option(min=1, help="Of each, after one that is not counted.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="Of codec and recognisers.")] = 1,
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Frames a second of each recogniser, one by one and in batches of 2, 4 and 8 where it takes them."""
    console = console_for(as_json)
    use_threads(threads)
    codec = load_codec()
    image = picture_to_time(picture, height, width)
    machine = codec.encode(image).machine
    view = codec.decode_machine(machine)
    decoding = _median(lambda: codec.decode_machine(machine), calls)
    paces = []
    addresses = recogniser or ["ssd-mobilenet", "nanodet", "persons"]
    with progress_for(still=True) as progress:
        bar = progress.add_task("", total=len(addresses))
        for address in addresses:
            progress.update(bar, description=address)
            progress.refresh()
            looking = load_recogniser(address, minimum_score=_SCORE, threads=threads)
            for batch in (size for size in (1, 2, 4, 8) if size <= looking.most_at_once):
                pictures = [view] * batch
                per_frame = _median(partial(look, looking, pictures), calls) / batch
                paces.append(Pace(looking.name, batch, 1 / per_frame, per_frame / decoding))
            progress.advance(bar)
    table = Table(
        title=f"{width}x{height}, {threads} threads; decoding a machine view: {1 / decoding:.1f} frames/s"
    )
    for heading in ("recogniser", "batch", "frames/s", "its time over decoding's"):
        table.add_column(heading, justify="left" if heading == "recogniser" else "right")
    for pace in paces:
        table.add_row(
            pace.recogniser, str(pace.batch), f"{pace.frames_per_second:.1f}", f"{pace.of_decoding:.2f}"
        )
    console.print(table)
    figures = {
        "command": as_typed(context, "bench", "recognition"),
        "model": codec.model_id.hex(),
        "width": width,
        "height": height,
        "threads": threads,
        "decoding_frames_per_second": 1 / decoding,
        "recognisers": [asdict(pace) for pace in paces],
    }
    put_figures(figures, out, as_json, indent=2)


def _median(call: Callable[[], object], calls: int) -> float:
    """Seconds."""
    call()
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return statistics.median(took)
