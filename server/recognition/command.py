"""Try a recogniser: whether it keeps to what the server asks of it, and what it sees in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from server.errors import InvalidRecogniserError, RecogniserError
from server.recognition import Device, Recogniser, Seen, known_recognisers, load_recogniser
from server.recognition.conformance import faults_of
from server.recognition.looking import look as look_at
from shared_models.command.printing import AsJson, print_json
from shared_models.photo_file import read_picture

_FEW: Final = 5

app = typer.Typer(add_completion=False, no_args_is_help=True)

Address = Annotated[
    str, typer.Argument(help="As for secondsight server --recogniser, for example onnx:model.onnx")
]
DeviceAsked = Annotated[
    Device, typer.Option("--device", help="Where to recognise: auto takes CUDA where it works.")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads that recognise.")]


@app.callback()
def recogniser() -> None:
    """Try a recogniser before the server runs it."""


@app.command(name="list")
def list_(
    addresses: Annotated[
        list[str] | None, typer.Argument(help="Only these, for example onnx:model.onnx")
    ] = None,
    as_json: AsJson = False,
    device: DeviceAsked = Device.AUTO,
) -> None:
    """List the recognisers that are there: what they see, where they run, and what they take."""
    told = [_told(address, device) for address in addresses or known_recognisers()]
    if as_json:
        print_json({"recognisers": told})
        return
    table = Table(Column("address", no_wrap=True), "model", "runs on", "labels", "at once", "input")
    for each in told:
        if "missing" in each:
            table.add_row(each["address"], f"not there: {each['missing']}")
        else:
            table.add_row(
                each["address"],
                each["name"],
                each["device"],
                _few(each["labels"]),
                str(each["most_at_once"]),
                each["inputs"],
            )
    Console().print(table)


def _told(address: str, device: Device) -> dict[str, Any]:
    try:
        found = load_recogniser(address, minimum_score=0.5, threads=1, device=device)
        return {"address": address, **_description(found)}
    except RecogniserError as error:
        return {"address": address, "missing": str(error)}


def _description(found: Recogniser) -> dict[str, Any]:
    try:
        return {
            "name": str(found.name),
            "device": str(found.device),
            "labels": list(map(str, found.labels)),
            "most_at_once": int(found.most_at_once),
            "inputs": str(found.inputs),
        }
    except Exception as error:  # other people's code
        raise InvalidRecogniserError(
            f"a {type(found).__name__} cannot say what it is ({type(error).__name__}: {error})"
        ) from error


def _seen(seen: Seen) -> dict[str, Any]:
    found: dict[str, Any] = {
        "detections": [
            {
                "label": each.label,
                "score": float(each.score),
                "box": [float(side) for side in (each.x_min, each.y_min, each.x_max, each.y_max)],
                "mask_pixels": None if each.mask is None else int(each.mask.area),
            }
            for each in seen.detections
        ]
    }
    if seen.segmentation is not None:
        found["segments"] = [
            {
                "label": each.label,
                "score": float(each.score),
                "is_thing": each.is_thing,
                "share": float((seen.segmentation.numbers == each.number).mean()),
            }
            for each in seen.segmentation.segments
        ]
    return found


def _few(labels: list[str]) -> str:
    return ", ".join(labels) if len(labels) <= _FEW else f"{len(labels)}: {', '.join(labels[:_FEW])}, ..."


@app.command()
def check(
    address: Address,
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Pictures to try it on, beside noise.")
    ] = None,
    minimum_score: Annotated[float, typer.Option(min=0, max=1, help="Detections below are left out.")] = 0.05,
    threads: Threads = 1,
    device: DeviceAsked = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Try every promise that a recogniser makes to the server. Exit code 1 when one is not kept."""
    tried = load_recogniser(address, minimum_score=minimum_score, threads=threads, device=device)
    faults = faults_of(tried, [read_picture(path) for path in pictures or ()])
    if as_json:
        kept = [{"promise": fault.promise, "told": fault.told} for fault in faults]
        print_json({**_description(tried), "faults": kept})
        raise typer.Exit(1 if faults else 0)
    for fault in faults:
        typer.echo(f"not kept: {fault.promise}: {fault.told}")
    typer.echo(
        f"{tried.name}: on {tried.device}, {len(tried.labels)} labels, {tried.most_at_once} pictures at once, "
        f"input {tried.inputs}, " + ("every promise kept" if not faults else f"{len(faults)} faults")
    )
    raise typer.Exit(1 if faults else 0)


@app.command()
def look(
    address: Address,
    picture: Annotated[Path, typer.Argument(help="A picture file.")],
    minimum_score: Annotated[float, typer.Option(min=0, max=1, help="Detections below are left out.")] = 0.3,
    threads: Threads = 1,
    device: DeviceAsked = Device.AUTO,
    as_json: AsJson = False,
) -> None:
    """Print what a recogniser sees in a picture."""
    looking = load_recogniser(address, minimum_score=minimum_score, threads=threads, device=device)
    (seen,) = look_at(looking, [read_picture(picture)])
    if as_json:
        print_json({"recogniser": looking.name, **_seen(seen)})
        return
    table = Table("label", "score", "box", "mask", title=looking.name)
    for detection in seen.detections:
        box = f"{detection.x_min:.0f}, {detection.y_min:.0f} to {detection.x_max:.0f}, {detection.y_max:.0f}"
        mask = "" if detection.mask is None else f"{detection.mask.area} pixels"
        table.add_row(detection.label, f"{detection.score:.2f}", box, mask)
    if seen.segmentation is not None:
        for segment in seen.segmentation.segments:
            share = float((seen.segmentation.numbers == segment.number).mean())
            kind = "thing" if segment.is_thing else "stuff"
            table.add_row(segment.label, f"{segment.score:.2f}", kind, f"{share:.1%} of the picture")
    Console().print(table)
