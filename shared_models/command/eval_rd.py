"""Measure rate and distortion of the codec beside other codecs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from rich.table import Table

from shared_models.codec import Codec, load_codec
from shared_models.command.as_typed import as_typed
from shared_models.command.options import EightBit, FiguresFile, PhotoCount, WeightsFile, Workers
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures
from shared_models.device import use_threads
from shared_models.evaluation.comparison import comparisons
from shared_models.evaluation.machine_plus_vvc import MachinePlusVvc
from shared_models.evaluation.peers import PEERS, Peer, PillowPeer
from shared_models.evaluation.published import VTM, published_curves
from shared_models.evaluation.rate_distortion import (
    BOTH,
    ENHANCEMENT,
    MACHINE,
    MAIN,
    Curve,
    Kind,
    Measured,
    Series,
    bd_rates,
    by_photo,
    coded_by,
    curves_of,
    layered,
    photos_of,
    recalled,
    side_by_side,
)
from shared_models.evaluation.results import read_results
from shared_models.evaluation.video_peers import FfmpegPeer

_LAYERS: Final = "layers"
_PUBLISHED: Final = "published"
_MADE_BY: Final = "secondsight eval rd FOLDER --out FILE"


def rd(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Photos, for example the 24 Kodak images.")],
    weights: WeightsFile = None,
    peers: Annotated[
        bool, typer.Option(help="Measure other codecs too: Pillow's, x265, VVC, VVC+M, single-layer LIC, DC.")
    ] = True,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure only codecs whose name holds this text; 'layers' is the codec itself. Repeatable."
        ),
    ] = None,
    images: PhotoCount = None,
    workers: Workers = None,
    eight_bit: EightBit = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            help="An earlier JSON file. Codecs that are the same now as then are not measured again for its photos."
        ),
    ] = None,
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Bits per pixel, PSNR and MS-SSIM of both views beside other codecs, with Bjøntegaard delta rates.

    Beside the 24 Kodak images stand curves that others have published for them.
    """
    console = console_for(as_json)
    use_threads(1)
    codec = load_codec(weights=weights, eight_bit=eight_bit)
    photos = photos_of(folder, images)
    offered: dict[Kind, tuple[Peer, ...]] = {
        "comparison": (*comparisons(codec), MachinePlusVvc(codec)) if peers else (),
        "peer": PEERS if peers else (),
    }
    names = [_LAYERS, _PUBLISHED, *(peer.name for those in offered.values() for peer in those)]
    wanted = _wanted(only, names)
    tasks = [partial(layered, codec, photo) for photo in photos] if _LAYERS in wanted else []
    before = {} if earlier is None else read_results(earlier, _MADE_BY, ("identities", "images"))
    identities: dict[str, str] = {}
    known: list[Measured] = []
    for kind, those in offered.items():
        for peer in (peer for peer in those if peer.name in wanted):
            if (identity := _identity(peer, codec)) is not None:
                identities[peer.name] = identity
                if before.get("identities", {}).get(peer.name) == identity:
                    series = Series(peer.name, kind, peer.counts)
                    if (recall := recalled(before["images"], photos, series)) is not None:
                        known += recall
                        continue
            _try_out(peer)
            tasks += [partial(coded_by, peer, kind, photo, rung) for photo in photos for rung in peer.ladder]
    with progress_for() as progress:
        bar = progress.add_task("coding", total=len(tasks))
        measured = side_by_side(tasks, workers or len(os.sched_getaffinity(0)), lambda: progress.advance(bar))
    measured += known
    curves = curves_of(measured)
    if _PUBLISHED in wanted:
        curves += published_curves([Path(photo.name).stem for photo in photos])
    shown = [curve for curve in curves if curve.series.kind != "ours" or curve.name in MAIN]
    anchors = [
        curve for curve in shown if curve.series.kind in ("peer", "comparison") or curve.name == VTM.name
    ]
    compared = [
        curve for curve in shown if curve.series.kind != "ours" or curve.name in (MACHINE, BOTH, ENHANCEMENT)
    ]
    deltas = bd_rates(compared, anchors)
    for curve in shown:
        console.print(_points(curve))
    console.print(_deltas(compared, deltas))
    figures = {
        "command": as_typed(context, "eval", "rd"),
        "model": codec.model_id.hex(),
        "eight_bit": codec.eight_bit,
        "photos": len(photos),
        "identities": identities,
        "curves": [curve.as_dict() for curve in curves],
        "bd_rate_percent": deltas,
        "images": by_photo(measured),
    }
    put_figures(figures, out, as_json)


def _identity(peer: Peer, codec: Codec) -> str | None:
    """What must be the same for a codec's figures to be the same; None for one of our own, which is measured anew."""
    software = [f"{package} {version(package)}" for package in ("pillow", "imageio-ffmpeg")]
    if isinstance(peer, PillowPeer | FfmpegPeer):
        return ", ".join([repr(peer), *software])
    if isinstance(peer, MachinePlusVvc):
        return ", ".join([peer.name, codec.machine_id.hex(), *software])
    return None


def _try_out(peer: Peer) -> None:
    """A codec that is missing is told at once, not after minutes of coding with the others."""
    peer.decode(peer.encode(np.full((64, 64, 3), 128, np.uint8), peer.ladder[0]))


def _wanted(only: Iterable[str] | None, names: list[str]) -> set[str]:
    if not only:
        return set(names)
    wanted = set()
    for text in only:
        found = {name for name in names if text.casefold() in name.casefold()}
        if not found:
            raise typer.BadParameter(f"--only {text}: no codec is called so; there are {'; '.join(names)}")
        wanted |= found
    return wanted


def _points(curve: Curve) -> Table:
    series = curve.series
    table = Table(
        "setting", "bit/pixel", "PSNR, dB", "MS-SSIM, dB", title=curve.name, caption=f"bits: {series.counts}"
    )
    for point in curve.points:
        figures = point.figures
        similar = "" if figures.ms_ssim_db is None else f"{figures.ms_ssim_db:.2f}"
        table.add_row(point.setting, f"{figures.bits_per_pixel:.3f}", f"{figures.psnr_db:.2f}", similar)
    return table


def _deltas(curves: list[Curve], deltas: dict[str, dict[str, float | None]]) -> Table:
    """A row per curve, a column per anchor."""
    table = Table("BD-rate, % of", *(f"against {_short(anchor)}" for anchor in deltas))
    for curve in curves:
        row = [against.get(curve.name) for against in deltas.values()]
        table.add_row(_short(curve.name), *("" if delta is None else f"{delta:+.1f}" for delta in row))
    return table


def _short(name: str) -> str:
    """Without the settings, for tables."""
    return name.replace("(published)", "published").partition(" (")[0]
