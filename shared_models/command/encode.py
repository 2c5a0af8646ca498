"""Encode a picture into its two layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from shared_models.codec import load_codec
from shared_models.command.options import Profile, WeightsFile
from shared_models.command.printing import AsJson, print_json

app = typer.Typer(help="Encode a picture into its two layers.")


@app.command()
def encode(
    picture: Annotated[Path, typer.Argument(help="Any picture file that Pillow reads.")],
    out: Annotated[
        Path | None, typer.Option(help="Stem of the two files; the picture's when left out.")
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Level of the human view, 0 = smallest.")] = None,
    machine_quality: Annotated[int | None, typer.Option(help="Level of the machine layer.")] = None,
    slices: Annotated[int | None, typer.Option(help="Enhancement slices, 1 to 5.")] = None,
    profile: Profile = "lite",
    weights: WeightsFile = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Write STEM.machine and STEM.enhancement."""
    image = np.asarray(Image.open(picture).convert("RGB"))
    frame = load_codec(profile, weights=weights, device=device).encode(
        image, quality, machine_quality, slices
    )
    layers = {}
    stem = picture.with_suffix("") if out is None else out
    for suffix, data in ((".machine", frame.machine), (".enhancement", frame.enhancement)):
        path = stem.with_name(stem.name + suffix)
        path.write_bytes(data)
        rate = 8 * len(data) / (image.shape[0] * image.shape[1])
        layers[suffix[1:]] = {"file": str(path), "bytes": len(data), "bits_per_pixel": round(rate, 5)}
        if not as_json:
            typer.echo(f"{path}: {len(data)} bytes, {rate:.3f} bit/pixel")
    if as_json:
        print_json({"width": image.shape[1], "height": image.shape[0], **layers})
