"""Measure the codec's speed beside other codecs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from shared_models.codec import Codec, load_codec
from shared_models.command.as_typed import as_typed
from shared_models.command.options import EightBit, FiguresFile, WeightsFile
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures
from shared_models.complexity import kilo_macs_per_pixel
from shared_models.config import PAPER
from shared_models.evaluation.peers import AVIF, JPEG, WEBP, Peer
from shared_models.evaluation.speed import (
    Operation,
    Timing,
    codec_operations,
    peer_timing,
    picture_to_time,
    with_something_moved,
)
from shared_models.evaluation.video_peers import VVC, VVC_FASTER, X265
from shared_models.profile import enhancement_layer, machine_layer, probability_tables
from shared_models.weights import Weights

_PEERS: Final[tuple[tuple[Peer, int], ...]] = (
    (JPEG, 75),
    (WEBP, 75),
    (AVIF, 60),
    (X265, 32),
    (VVC_FASTER, 32),
    (VVC, 32),
)
_SLOW_REPEATS: Final = 3
_PAPER_SIDE: Final = 128
"""Of the picture on which its multiply-accumulates are counted, pixels."""


def codec(
    context: typer.Context,
    picture: Annotated[Path | None, typer.Option(help="A picture; 1/f noise when left out.")] = None,
    later: Annotated[
        Path | None,
        typer.Option(
            help="A later picture of the same camera, to be predicted; --picture with a part of it moved when left out."
        ),
    ] = None,
    weights: WeightsFile = None,
    width: Annotated[int, typer.Option(min=16, max=8192, help="Of the picture, pixels.")] = 1280,
    height: Annotated[int, typer.Option(min=16, max=8192, help="Of the picture, pixels.")] = 720,
    repeats: Annotated[int, typer.Option(min=1, help="At most 3 for VVC and x265.")] = 15,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads in all; the encoder's two analyses share them.")
    ] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    eight_bit: EightBit = True,
    peers: Annotated[bool, typer.Option(help="Time the other codecs' encoders, too.")] = True,
    paper: Annotated[
        bool, typer.Option(help="Time the paper's model, too, untrained: minutes on a CPU.")
    ] = False,
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Time encoding and decoding of one frame, stage by stage, and other codecs' encoders in the same run.

    Of a key frame and of a frame that is predicted from it; the reference of the latter's decoding is at hand.
    """
    image = picture_to_time(picture, height, width)
    second = with_something_moved(image) if later is None else picture_to_time(later, height, width)
    subject = load_codec(weights=weights, device=device, eight_bit=eight_bit)
    with progress_for(still=True) as progress:
        bar = progress.add_task("", total=1 + paper + len(_PEERS) * peers)

        def begin(what: str) -> None:
            progress.update(bar, description=what, advance=progress.tasks[0].description != "")
            progress.refresh()

        begin("this codec")
        ours = Measured(
            codec_operations(subject, image, repeats, threads, later=second),
            [counted.total() for counted in kilo_macs_per_pixel(subject).values()],
        )
        papers = None
        if paper:
            begin("the paper's model")
            papers = _paper(image, device, threads)
        others = []
        for peer, quality in _PEERS if peers else ():
            begin(peer.name)
            most = min(repeats, _SLOW_REPEATS) if peer in (X265, VVC) else repeats
            others.append(peer_timing(peer, image, quality, most))
    console = console_for(as_json)
    arithmetic = f"{subject.dtype}, analyses in 8 bits" if subject.eight_bit else str(subject.dtype)
    title = f"{width}x{height}, {subject.device.type}, {arithmetic}, {threads} threads"
    console.print(_operations_table(title, ours, papers, threads))
    console.print(_stages_table(ours.operations))
    if others:
        console.print(_peers_table(ours.operations[0].timing, others))
    figures = {
        "command": as_typed(context, "bench", "codec"),
        "model": subject.model_id.hex(),
        "device": subject.device.type,
        "dtype": str(subject.dtype),
        "eight_bit": subject.eight_bit,
        "threads": threads,
        "width": width,
        "height": height,
        "operations": ours.as_dicts(),
        "predicted_over_key": ours.predicted_over_key,
        "paper": None if papers is None else papers.as_dicts(),
        "peers": [asdict(timing) for timing in others],
    }
    put_figures(figures, out, as_json)


@dataclass(frozen=True)
class Measured:
    """A codec's operations and their thousand multiply-accumulates per pixel."""

    operations: Sequence[Operation]
    kilo_macs: Sequence[float]

    @property
    def predicted_over_key(self) -> float | None:
        """Time of encoding a predicted frame over that of a key frame; None if the codec predicts nothing."""
        key, *others = (operation.timing for operation in self.operations)
        times = (timing.median_ms for timing in others if timing.name.startswith("encode"))
        return next((each / key.median_ms for each in times), None)

    def as_dicts(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [
            asdict(operation) | {"kilo_macs_per_pixel": round(cost, 3)}
            for operation, cost in zip(self.operations, self.kilo_macs, strict=True)
        ]


def _paper(image: NDArray[np.uint8], device: str, threads: int) -> Measured:
    """The paper's model with m = 5. Untrained: its networks take the same time whatever their weights."""
    machine, enhancement = machine_layer(PAPER), enhancement_layer(PAPER)
    tables = probability_tables(machine.entropy, enhancement.entropy)
    subject = Codec(Weights(PAPER, machine, enhancement, tables, {}), device)
    macs = [counted.total() for counted in kilo_macs_per_pixel(subject, _PAPER_SIDE).values()]
    return Measured(codec_operations(subject, image, 1, threads, at_once=False), macs)


def _operations_table(title: str, ours: Measured, papers: Measured | None, threads: int) -> Table:
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
    for measured, whose in ((ours, ""), (papers, ", the paper's model")):
        for operation, cost in zip(measured.operations, measured.kilo_macs, strict=True) if measured else ():
            timing = operation.timing
            table.add_row(
                timing.name + whose,
                f"{cost:.2f}",
                f"{timing.median_ms:.1f}",
                f"{timing.best_ms:.1f}",
                f"{1000 / timing.median_ms:.2f}",
                "" if operation.frames_per_second is None else f"{operation.frames_per_second:.2f}",
                f"{timing.size:,}",
            )
    captions = []
    if ours.predicted_over_key is not None:
        captions.append(
            f"time of encoding a predicted frame over that of a key frame: {ours.predicted_over_key:.2f}"
        )
    if papers is not None:
        # The paper's model predicts nothing.
        pairs = zip(ours.operations, papers.operations, strict=False)
        ratios = (f"{theirs.timing.median_ms / own.timing.median_ms:.0f}" for own, theirs in pairs)
        captions.append(f"the paper's times over ours: {', '.join(ratios)}")
    table.caption = "; ".join(captions)
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
