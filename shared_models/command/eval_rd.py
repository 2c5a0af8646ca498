"""Measure rate and distortion of the codec beside other codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from shared_models.codec import load_codec
from shared_models.evaluation.peers import JPEG, PEERS
from shared_models.evaluation.rate_distortion import Curve, layered, peer, photos_of


def rd(
    folder: Annotated[Path, typer.Argument(help="Photos, for example the 24 Kodak images.")],
    weights: Annotated[
        Path | None, typer.Option(help="A weights file; the shipped one when left out.")
    ] = None,
    peers: Annotated[bool, typer.Option(help="WebP and AVIF beside JPEG.")] = True,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
) -> None:
    """Bits per pixel and PSNR of both views, JPEG, WebP and AVIF, with Bjøntegaard delta rates."""
    console = Console()
    codec = load_codec(weights=weights)
    photos = photos_of(folder)
    others = PEERS if peers else (JPEG,)
    with Progress(console=console) as progress:
        bar = progress.add_task("photos", total=len(photos) * (1 + len(others)))

        def advance() -> None:
            progress.advance(bar)

        ours = layered(codec, photos, advance)
        anchors = [peer(other, photos, advance) for other in others]
    curves = [ours.machine, ours.both, ours.slices, *anchors]
    for curve in curves:
        console.print(_table(curve))
    rates = ", ".join(f"{rate:.3f}" for rate in ours.enhancement_bits_per_pixel)
    console.print(f"enhancement alone, by quality: {rates} bpp")
    deltas = {anchor.name: ours.both.bd_rate_against(anchor) for anchor in anchors}
    for name, delta in deltas.items():
        console.print(f"BD-rate of both layers against {name}: {delta:+.1f} %")
    if out is not None:
        figures = {
            "model": codec.model_id.hex(),
            "photos": len(photos),
            "curves": [curve.as_dict() for curve in curves],
            "enhancement_bits_per_pixel": ours.enhancement_bits_per_pixel,
            "bd_rate_percent": deltas,
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")


def _table(curve: Curve) -> Table:
    table = Table("setting", "bit/pixel", "PSNR, dB", title=curve.name)
    for point in curve.points:
        table.add_row(point.setting, f"{point.bits_per_pixel:.3f}", f"{point.psnr_db:.2f}")
    return table
