"""Train the codec's layers: first `machine`, then `enhancement`; `human` and `difference` to compare with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from shared_models.command.as_typed import as_typed
from shared_models.command.options import FiguresFile
from shared_models.command.options import WeightsFile as ShippedOrFile
from shared_models.command.printing import AsJson, print_json
from shared_models.config import LITE, CodecConfig, LiteConfig
from shared_models.device import resolved_device, use_threads
from shared_models.errors import CodecError, RecipeError
from shared_models.profile import profile_named
from shared_models.single import SingleLayer
from shared_models.training.configured import configured
from shared_models.training.cutouts import Cutouts
from shared_models.training.difference import DifferenceTask
from shared_models.training.enhancement import EnhancementTask
from shared_models.training.export import trained_machine
from shared_models.training.human import HumanTask
from shared_models.training.loop import Report, TrainingRun
from shared_models.training.machine import MachineTask
from shared_models.training.pack import DEFAULT_LIMIT_MIB, packed
from shared_models.training.predicted import PredictedEnhancementTask, PredictedMachineTask
from shared_models.training.progress import trained
from shared_models.training.recipe import Recipe
from shared_models.training.task import Task
from shared_models.weights import Weights, shipped_weights


class TrainGroup(TyperGroup):
    """Tells a recipe that cannot be as an option that cannot be, by usage and exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RecipeError as error:
            raise typer.BadParameter(str(error)) from error


app = typer.Typer(
    cls=TrainGroup,
    help="Train the codec's layers: first `machine`, then `enhancement`; `human` and `difference` to compare with.",
    no_args_is_help=True,
)

PhotoFolder = Annotated[Path, typer.Option(help="Folder of training photos.")]
MaskFolder = Annotated[Path, typer.Option(help="Folder of their edge masks: PNG, same stems.")]
RunFolder = Annotated[Path, typer.Option(help="Folder of the run; an earlier run there goes on.")]
ValidationFolder = Annotated[
    Path | None, typer.Option(help="Folder of photos to validate on, for example Kodak.")
]
WeightsFile = Annotated[
    Path | None, typer.Option(help="A weights file to go on from; the photos' KLT when left out.")
]
MachineRun = Annotated[
    Path | None, typer.Option(help="Folder of the machine layer's run; that of --weights when left out.")
]
Annotations = Annotated[
    Path, typer.Option(help="COCO instances file that outlines the things in the photos.")
]
RecipeFile = Annotated[Path | None, typer.Option(help="TOML file; the shipped recipe when left out.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A number of the recipe, as name=value; may be repeated.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="The recipe's when left out.")]
Profile = Annotated[str, typer.Option(help="Profile of the codec.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]


@app.command()
def machine(
    photos: PhotoFolder,
    masks: MaskFolder,
    out: RunFolder,
    validation: ValidationFolder = None,
    weights: WeightsFile = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    profile: Profile = "lite",
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the machine layer, eq. (2)."""
    use_threads(threads)
    chosen = _recipe("machine", profile, recipe, settings, steps)
    config = configured(profile_named(profile), chosen)
    run = _run(lambda: MachineTask(config, chosen), chosen, out, device)
    _tell(
        trained(run, photos, masks, validation, None if weights is None else Weights.load(weights).machine),
        out,
        as_json,
    )


@app.command()
def enhancement(
    photos: PhotoFolder,
    out: RunFolder,
    machine: MachineRun = None,
    validation: ValidationFolder = None,
    weights: WeightsFile = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    profile: Profile = "lite",
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the enhancement layer beside a frozen machine layer, eq. (3)."""
    use_threads(threads)
    chosen = _recipe("enhancement", profile, recipe, settings, steps)
    config = configured(profile_named(profile), chosen)
    loaded = None if weights is None else Weights.load(weights)
    frozen = _machine(machine, loaded, config)
    run = _run(lambda: EnhancementTask(config, chosen, frozen), chosen, out, device)
    _tell(
        trained(run, photos, None, validation, None if loaded is None else loaded.enhancement), out, as_json
    )


@app.command()
def human(
    photos: PhotoFolder,
    out: RunFolder,
    validation: ValidationFolder = None,
    weights: Annotated[
        Path | None, typer.Option(help="A weights file with whose enhancement transforms the run begins.")
    ] = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    profile: Profile = "lite",
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the single-layer codec for people that both layers are compared with, eq. (1)."""
    use_threads(threads)
    chosen = _recipe("human", profile, recipe, settings, steps)
    config = configured(profile_named(profile), chosen)

    def make_task() -> HumanTask:
        task = HumanTask(config, chosen)
        if weights is not None:
            task.take_transforms(Weights.load(weights).enhancement)
        return task

    _tell(trained(_run(make_task, chosen, out, device), photos, None, validation, None), out, as_json)


@app.command()
def difference(
    photos: PhotoFolder,
    out: RunFolder,
    machine: MachineRun = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A weights file whose machine layer is used where --machine is left out."),
    ] = None,
    validation: ValidationFolder = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    profile: Profile = "lite",
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the codec of the difference to a frozen machine view, the paper's baseline DC."""
    use_threads(threads)
    chosen = _recipe("difference", profile, recipe, settings, steps)
    config = configured(profile_named(profile), chosen)
    frozen = _machine(machine, None if weights is None else Weights.load(weights), config)
    run = _run(lambda: DifferenceTask(config, chosen, frozen), chosen, out, device)
    _tell(trained(run, photos, None, validation, None), out, as_json)


@app.command()
def predicted_machine(
    photos: PhotoFolder,
    annotations: Annotations,
    out: RunFolder,
    weights: ShippedOrFile = None,
    validation: ValidationFolder = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the machine layer's entropy model of predicted frames; both layers stay as they are."""
    use_threads(threads)
    chosen = _recipe(PredictedMachineTask.name, LITE.name, recipe, settings, steps)
    _train_predicted(
        PredictedMachineTask, chosen, photos, annotations, out, weights, validation, device, as_json
    )


@app.command()
def predicted_enhancement(
    photos: PhotoFolder,
    annotations: Annotations,
    out: RunFolder,
    weights: ShippedOrFile = None,
    validation: ValidationFolder = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    steps: Steps = None,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the enhancement layer's entropy model of predicted frames; both layers stay as they are."""
    use_threads(threads)
    chosen = _recipe(PredictedEnhancementTask.name, LITE.name, recipe, settings, steps)
    _train_predicted(
        PredictedEnhancementTask, chosen, photos, annotations, out, weights, validation, device, as_json
    )


@app.command()
def ablation(
    context: typer.Context,
    photos: PhotoFolder,
    validation: Annotated[Path, typer.Option(help="Folder of photos on which the runs are compared.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs; those that are there go on.")],
    result: FiguresFile = None,
    weights: ShippedOrFile = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this variant and its baseline; may be repeated.")
    ] = None,
    settings: Settings = None,
    steps: Annotated[int, typer.Option(min=1, help="Of every run.")] = 600,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train short runs that differ in one decision each, and tell what it is worth in bits."""
    # Needs the packages of the evaluation, which the other commands do without on a machine they were packed for.
    from shared_models.training.ablation_report import measured

    use_threads(threads)
    recipe = _recipe("enhancement", "lite", None, settings, steps)
    command = as_typed(context, "train", "ablation")
    measured(
        photos, validation, out, result, weights, only, recipe, resolved_device(device), command, as_json
    )


@app.command()
def pack(
    photos: PhotoFolder,
    masks: MaskFolder,
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist yet.")],
    validation: ValidationFolder = None,
    weights: WeightsFile = None,
    annotations: Annotated[
        Path | None, typer.Option(help="COCO instances file of the photos, to train predicted frames.")
    ] = None,
    limit_mib: Annotated[
        float, typer.Option(min=1.0, help="Photos are left out until the folder is no larger.")
    ] = DEFAULT_LIMIT_MIB,
    seed: Annotated[int, typer.Option(help="Chooses the photos that are left out.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Make a folder that trains on a machine with torch and nothing else to download."""
    summary = packed(
        photos,
        masks,
        out,
        validation=validation,
        weights=weights,
        annotations=annotations,
        limit_mib=limit_mib,
        seed=seed,
    )
    if as_json:
        print_json({"folder": str(out), "summary": str(summary)})
    else:
        typer.echo(f"{out}: {summary}; see {out / 'README.md'}")


def _tell(last: Report | None, run: Path, as_json: bool) -> None:
    """Say where a run ended; `last` is None when it had ended before."""
    if as_json:
        print_json({"run": str(run), **({} if last is None else asdict(last))})
    elif last is not None:
        typer.echo(
            f"{run}: step {last.step}, loss {last.loss:.3f}, {last.bits_per_pixel:.3f} bit/pixel, {last.psnr:.2f} dB"
        )


def _train_predicted(
    task: type[PredictedMachineTask] | type[PredictedEnhancementTask],
    recipe: Recipe,
    photos: Path,
    annotations: Path,
    out: Path,
    weights: Path | None,
    validation: Path | None,
    device: str,
    as_json: bool,
) -> None:
    loaded = Weights.load(shipped_weights(LITE.name) if weights is None else weights)
    config = loaded.config
    if not isinstance(config, LiteConfig):
        raise typer.BadParameter(f"the profile {config.name} has no predicted frames")
    # For its refusals alone: the switches are those of the layers.
    configured(config, recipe)
    begin_with = None
    if loaded.predicted is not None:
        begin_with = (
            loaded.predicted.machine if task is PredictedMachineTask else loaded.predicted.enhancement
        )
    cutouts = Cutouts(annotations, photos)
    run = _run(lambda: task(config, recipe, loaded.machine, loaded.enhancement, cutouts), recipe, out, device)
    _tell(trained(run, photos, None, validation, begin_with), out, as_json)


def _recipe(
    task: str, profile: str, file: Path | None, settings: list[str] | None, steps: int | None
) -> Recipe:
    chosen = Recipe.shipped(task, profile_named(profile).name) if file is None else Recipe.from_file(file)
    chosen = chosen.with_settings(settings or [])
    return chosen if steps is None else replace(chosen, steps=steps)


def _machine(run: Path | None, weights: Weights | None, config: CodecConfig) -> SingleLayer:
    if run is not None:
        return trained_machine(run, config)
    if weights is not None:
        return weights.machine
    raise typer.BadParameter("name the machine layer by --machine or by --weights")


def _run(make_task: Callable[[], Task], recipe: Recipe, out: Path, device: str) -> TrainingRun:
    return TrainingRun(make_task, recipe, out, resolved_device(device))


if __name__ == "__main__":  # as in a training pack, where there is no other command line
    try:
        app()
    except CodecError as error:
        sys.exit(f"error: {error}")
