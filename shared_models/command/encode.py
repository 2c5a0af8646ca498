"""Encode a picture into its two layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared_models.codec import load_codec
from shared_models.command.options import EightBit, Profile, WeightsFile, file_to_write
from shared_models.command.printing import AsJson, print_json
from shared_models.config import LITE
from shared_models.photo_file import read_picture

app = typer.Typer(help="Encode a picture into its two layers.")


def _levels(of: str, levels: int, default: int) -> str:
    return f"Level of the {of}, 0 = smallest to {levels - 1}; {default} when left out. The profile paper has only 0."


@app.command()
def encode(
    picture: Annotated[
        Path,
        typer.Argument(
            dir_okay=False, help="Any picture file that Pillow reads; it is turned upright by its EXIF."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Stem of the two files, or a folder that is there, for files of the picture's name; beside the "
            "picture when left out."
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help=_levels("human view", LITE.enhancement.levels, LITE.default_quality))
    ] = None,
    machine_quality: Annotated[
        int | None,
        typer.Option(help=_levels("machine layer", LITE.machine.levels, LITE.default_machine_quality)),
    ] = None,
    slices: Annotated[
        int | None,
        typer.Option(help=f"Enhancement slices, 1 to {LITE.enhancement_slices}; all when left out."),
    ] = None,
    profile: Profile = "lite",
    weights: WeightsFile = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    eight_bit: EightBit = False,
    as_json: AsJson = False,
) -> None:
    """Write STEM.machine and STEM.enhancement."""
    stem = _stem(picture, out)
    paths = {suffix: stem.with_name(stem.name + suffix) for suffix in (".machine", ".enhancement")}
    for path in paths.values():
        file_to_write(path)
        if path.exists() and path.samefile(picture):
            raise typer.BadParameter(f"{path} is the picture itself: name other files by --out")
    image = read_picture(picture)
    codec = load_codec(profile, weights=weights, device=device, eight_bit=eight_bit)
    frame = codec.encode(image, quality, machine_quality, slices)
    layers = {}
    stem.parent.mkdir(parents=True, exist_ok=True)
    for (suffix, path), data in zip(paths.items(), (frame.machine, frame.enhancement), strict=True):
        path.write_bytes(data)
        rate = 8 * len(data) / (image.shape[0] * image.shape[1])
        layers[suffix[1:]] = {"file": str(path), "bytes": len(data), "bits_per_pixel": round(rate, 5)}
        if not as_json:
            typer.echo(f"{path}: {len(data)} bytes, {rate:.3f} bit/pixel")
    if as_json:
        print_json({"width": image.shape[1], "height": image.shape[0], **layers})


def _stem(picture: Path, out: Path | None) -> Path:
    """What the names of both files begin with."""
    if out is None:
        return picture.with_suffix("")
    return out / picture.stem if out.is_dir() else out
