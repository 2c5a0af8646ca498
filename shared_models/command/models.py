"""Show the codec's models, or make weights files of trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from shared_models.codec import Codec
from shared_models.command.options import WeightsFile, file_to_write
from shared_models.command.printing import AsJson, print_json
from shared_models.complexity import kilo_macs_per_pixel
from shared_models.config import PAPER
from shared_models.photo_folder import photo_set
from shared_models.profile import profile_named
from shared_models.training.calibration import calibrated
from shared_models.training.export import exported, exported_comparison, with_machine, with_predicted
from shared_models.weights import SHIPPED, Weights, shipped_weights

_COSTS: Final = {
    "encode": "encode",
    "encode_predicted": "encode\npredicted",
    "decode_machine": "decode\nmachine",
    "decode_human": "decode\nhuman",
}
"""Columns of the table, by the operations of `kilo_macs_per_pixel`."""

app = typer.Typer(help="Show the codec's models, or make weights files of trained ones.")


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    weights: Annotated[
        Path | None, typer.Option(help="A weights file; the shipped ones when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print size, cost and operating points of every profile."""
    if context.invoked_subcommand is not None:
        return
    paths = [weights] if weights is not None else sorted(SHIPPED.glob("*.safetensors"))
    if as_json:
        print_json({"models": [_document(path) for path in paths]})
        return
    console = Console()
    for path in paths:
        loaded = Weights.load(path)
        codec = Codec(loaded, device="cpu")
        config = loaded.config
        predicting = f", predicted frames {codec.predicting_id.hex()}" if codec.predicts else ""
        console.print(f"[bold]{config.name}[/]  model {codec.model_id.hex()}{predicting}  {path.name}")
        console.print(
            f"machine lambdas {config.machine.lambdas}, default level {config.default_machine_quality}; "
            f"enhancement lambdas {config.enhancement.lambdas}, default level {config.default_quality}; "
            f"1 to {config.enhancement_slices} slices of {config.slice_width} channels"
        )
        table = Table("part", "parameters")
        counts = kilo_macs_per_pixel(codec)
        costs = {heading: counts[operation] for operation, heading in _COSTS.items() if operation in counts}
        for heading in costs:
            table.add_column(heading, justify="right")
        for name, part in ((n, p) for n, p in codec.layers.named_modules() if n.count(".") == 1):
            size = sum(parameter.numel() for parameter in part.parameters())
            table.add_row(name, f"{size:,}", *(f"{counted[name]:.2f}" for counted in costs.values()))
        total = sum(parameter.numel() for parameter in codec.layers.parameters())
        table.add_row("total", f"{total:,}", *(f"{counted.total():.2f}" for counted in costs.values()))
        table.caption = (
            "kMAC/pixel; of a predicted frame if all of it changed" if codec.predicts else "kMAC/pixel"
        )
        console.print(table)
    if weights is None:
        _show_table_i(console)


def _document(path: Path) -> dict[str, Any]:
    loaded = Weights.load(path)
    codec, config = Codec(loaded, device="cpu"), loaded.config
    counts = kilo_macs_per_pixel(codec)
    return {
        "profile": config.name,
        "file": str(path),
        "model": codec.model_id.hex(),
        "predicting": codec.predicting_id.hex() if codec.predicts else None,
        "machine": {"lambdas": list(config.machine.lambdas), "default": config.default_machine_quality},
        "enhancement": {"lambdas": list(config.enhancement.lambdas), "default": config.default_quality},
        "slices": config.enhancement_slices,
        "parameters": sum(parameter.numel() for parameter in codec.layers.parameters()),
        "kilo_macs_per_pixel": {operation: counted.total() for operation, counted in counts.items()},
    }


def _show_table_i(console: Console) -> None:
    """The profile paper, of which no weights are shipped, as its enhancement layer is built."""
    from shared_models.tcm.profile import enhancement_parameters

    console.print(
        f"[bold]{PAPER.name}[/]  the paper's own networks, {PAPER.slices} slices; no weights are shipped"
    )
    table = Table("enhancement layer, m", "channels of y_a", "parameters")
    for m, parameters in enhancement_parameters(PAPER).items():
        table.add_row(str(m), str(m * PAPER.slice_width), f"{parameters:,}")
    console.print(table)


@app.command("import")
def import_checkpoints(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="The authors' files: machine layer, enhancement layer, or one of them with --weights."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The weights file to write.", callback=file_to_write)],
    weights: Annotated[
        Path | None, typer.Option(help="A weights file of the profile paper that has the other layer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a weights file of the profile paper from its authors' checkpoints."""
    from shared_models.tcm.imported import imported

    loaded = imported(checkpoints, PAPER, None if weights is None else Weights.load(weights))
    loaded.save(out)
    m = loaded.config.enhancement_slices
    if as_json:
        print_json({"file": str(out), "model": loaded.model_id.hex(), "m": m})
    else:
        typer.echo(f"{out}: model {loaded.model_id.hex()}, enhancement layer of m = {m}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The weights file to write.", callback=file_to_write)],
    machine: Annotated[Path | None, typer.Option(help="Folder of the machine layer's run.")] = None,
    enhancement: Annotated[
        Path | None, typer.Option(help="Folder of the enhancement layer's run; that of --weights otherwise.")
    ] = None,
    predicted_machine: Annotated[
        Path | None, typer.Option(help="Folder of a run of `train predicted-machine`.")
    ] = None,
    predicted_enhancement: Annotated[
        Path | None, typer.Option(help="Folder of a run of `train predicted-enhancement`.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A weights file whose layers are kept where no run is named.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Of the codec.")] = "lite",
    as_json: AsJson = False,
) -> None:
    """Join training runs into a weights file.

    Layers: --machine with --enhancement, or with --weights, to try machine views beside an enhancement layer that knows
    another machine layer. Predicted frames: --predicted-machine with --predicted-enhancement, for the layers that they
    were trained for. A new layer leaves out the models of predicted frames, which belong to the earlier layers.
    """
    loaded = None if weights is None else Weights.load(weights)
    if machine is not None and enhancement is not None:
        joined = exported(machine, enhancement, profile_named(profile))
    elif loaded is None or enhancement is not None:
        raise typer.BadParameter(
            "name both layers by --machine and --enhancement, or keep those of --weights"
        )
    else:
        joined = loaded if machine is None else with_machine(machine, loaded)
    if predicted_machine is not None and predicted_enhancement is not None:
        joined = with_predicted(predicted_machine, predicted_enhancement, joined)
    elif predicted_machine is not None or predicted_enhancement is not None:
        raise typer.BadParameter("predicted frames need --predicted-machine and --predicted-enhancement")
    elif machine is None:
        raise typer.BadParameter("there is nothing new beside --weights: name the runs to take models from")
    joined.save(out)
    predicting = "" if joined.predicted is None else f", predicted frames {joined.predicting_id.hex()}"
    if as_json:
        without = joined.predicted is None
        told = None if without else joined.predicting_id.hex()
        print_json({"file": str(out), "model": joined.model_id.hex(), "predicting": told})
    else:
        typer.echo(f"{out}: model {joined.model_id.hex()}{predicting}")
    if joined.predicted is None and loaded is not None and loaded.predicted is not None:
        typer.echo(
            "without predicted frames: the models of --weights belong to its own layers, train new ones",
            err=as_json,
        )


@app.command()
def calibrate(
    photos: Annotated[Path, typer.Argument(help="Folder of photos like those that are to be encoded.")],
    out: Annotated[Path, typer.Option(help="The weights file to write.", callback=file_to_write)],
    weights: WeightsFile = None,
    count: Annotated[
        int, typer.Option(min=1, help="Only so many photos, spread evenly by name over the folder.")
    ] = 64,
    profile: Annotated[str, typer.Option(help="Of the codec.")] = "lite",
    as_json: AsJson = False,
) -> None:
    """Measure what the analyses compute, so that an encoder may compute it in 8 bits. The model stays the same."""
    paths = photo_set(photos).paths
    chosen = [paths[place * len(paths) // count] for place in range(count)] if count < len(paths) else paths
    measured = calibrated(Weights.load(weights or shipped_weights(profile)), chosen)
    measured.save(out)
    if as_json:
        print_json({"file": str(out), "model": measured.model_id.hex(), "photos": len(chosen)})
    else:
        typer.echo(f"{out}: model {measured.model_id.hex()}, measured on {len(chosen)} photos")


@app.command()
def export_comparison(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `train human` or `train difference`.")],
    out: Annotated[Path, typer.Option(help="Folder for its weights file.")],
    profile: Annotated[str, typer.Option(help="Of the codec.")] = "lite",
    as_json: AsJson = False,
) -> None:
    """Make a weights file of a codec that the layered one is compared with."""
    weights = exported_comparison(run, profile_named(profile))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{weights.task}.safetensors"
    weights.save(path)
    if as_json:
        print_json({"file": str(path), "model": weights.model_id.hex()})
    else:
        typer.echo(f"{path}: model {weights.model_id.hex()}")
