"""Decode a picture from its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from shared_models.bitstream import FrameType
from shared_models.codec import load_codec
from shared_models.command.options import Profile, WeightsFile, file_to_write
from shared_models.command.printing import AsJson, print_json

app = typer.Typer(help="Decode a picture from its layers.")


@app.command()
def decode(
    machine: Annotated[Path, typer.Argument(dir_okay=False, help="The machine layer.")],
    out: Annotated[Path, typer.Argument(help="The picture to write; its suffix chooses the format.")],
    enhancement: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The enhancement layer; without it the machine view is written."),
    ] = None,
    key_machine: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="The machine layer of the key frame that the frame is predicted from, if it is.",
        ),
    ] = None,
    key_enhancement: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Its enhancement layer, for a human view.")
    ] = None,
    slices: Annotated[int | None, typer.Option(help="How many of its slices to use.")] = None,
    profile: Profile = "lite",
    weights: WeightsFile = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Write the human view, or the machine view when no enhancement layer is given."""
    _check_picture(out)
    if enhancement is None and slices is not None:
        raise typer.BadParameter("--slices are of the enhancement layer: name it by --enhancement")
    if key_enhancement is not None and (enhancement is None or key_machine is None):
        raise typer.BadParameter(
            "--key-enhancement is for the human view of a predicted frame: name --enhancement and --key-machine too"
        )
    codec = load_codec(profile, weights=weights, device=device)
    base = machine.read_bytes()
    reference = None
    if key_machine is not None and codec.inspect(base).frame_type is FrameType.SELF_CONTAINED:
        typer.echo(f"{machine} needs no other frame: --key-machine is left aside", err=True)
    elif key_machine is not None:
        of_key = None if key_enhancement is None else key_enhancement.read_bytes()
        reference = codec.reference(key_machine.read_bytes(), of_key)
    if enhancement is None:
        picture = codec.decode_machine(base, reference)
    else:
        picture = codec.decode_human(base, enhancement.read_bytes(), slices, reference)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(out)
    height, width = picture.shape[:2]
    if as_json:
        view = "machine" if enhancement is None else "human"
        print_json({"file": str(out), "view": view, "width": width, "height": height})
    else:
        typer.echo(f"{out}: {width}x{height}")


def _check_picture(path: Path) -> None:
    """Refuse a file that Pillow has no format for before anything is decoded."""
    file_to_write(path)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        names = (
            f"Pillow writes no {path.suffix} files" if path.suffix else "no suffix names the picture's format"
        )
        raise typer.BadParameter(f"{path}: {names}; end it in .png, .webp or .jpg, for example")
