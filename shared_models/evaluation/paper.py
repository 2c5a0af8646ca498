"""The paper's tables and figures for our models: Shindo et al., arXiv 2405.09152.

Its values stand beside ours where it prints them; the bitrates of its figures it draws, but does not print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from shared_models.config import CodecConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.errors import ResultsError
from shared_models.evaluation.rate_distortion import (
    BOTH,
    ENHANCEMENT,
    ENHANCEMENT_BITS,
    MACHINE,
    Curve,
    Figures,
    Point,
    Series,
    by_slices,
)
from shared_models.weights import Weights

PAPER: Final = "arXiv 2405.09152"
_CHANNELS: Final = (64, 128, 192, 256, 320)
_MILLIONS: Final = (45.9, 51.7, 58.7, 67.0, 76.6)
_PSNR: Final[dict[float, tuple[float | None, ...]]] = {
    0.005: (None, None, 29.83, 29.76, 29.79),
    0.01: (29.95, 30.76, 31.03, 31.26, 31.22),
    0.02: (None, None, 32.63, 32.82, 32.83),
    0.03: (None, None, 33.28, 33.81, 33.93),
}


@dataclass(frozen=True)
class Sizes:
    """Parameters of an enhancement model: of all of it, and of what edge and server need of it."""

    all: int
    edge: int
    server: int


def needed(layer: EnhancementLayer, config: CodecConfig, slices: int) -> dict[str, Tensor]:
    """The parts of the parameters that a model with the first `slices` slices and no others would hold, by name.

    As in the paper's models, the synthesis goes on taking all channels of the machine layer, eq. (6).
    """
    channels = slices * config.slice_width
    parts: dict[str, Tensor] = {}
    for name, parameter in layer.named_parameters():
        if name.startswith(("entropy.index_nets.", "entropy.mean_nets.")):
            if int(name.split(".")[2]) < slices:
                parts[name] = parameter
        elif name.startswith("analysis.head."):
            parts[name] = parameter[:channels]
        elif name in (
            "entropy.log_gain",
            "entropy.log_inverse_gain",
            "entropy.hyper_analysis.net.0.weight",
        ):
            parts[name] = parameter[:, :channels]
        else:
            parts[name] = parameter
    return parts


def sizes(layer: EnhancementLayer, config: CodecConfig, slices: int) -> Sizes:
    """Count what `needed` gives. The server has no use for what only encodes, the edge none for the synthesis."""
    counts = {name: part.numel() for name, part in needed(layer, config, slices).items()}
    return Sizes(
        sum(counts.values()),
        sum(count for name, count in counts.items() if not name.startswith("synthesis.")),
        sum(
            count
            for name, count in counts.items()
            if not name.startswith(("analysis.", "entropy.hyper_analysis."))
        ),
    )


def paper_figures(weights: Weights, curves: Sequence[Curve], photos: str) -> dict[str, Any]:
    """All that stands in paper.json but the command line.

    Args:
        curves: of `eval rd`, measured with `weights`.
        photos: what they were measured on.

    Raises:
        ResultsError: a curve that is needed is not among them.
    """
    return {
        "paper": PAPER,
        "differences": differences(weights, photos),
        "table_1": table_1(weights),
        "table_2": table_2(weights.config, curves),
        "figure_6": [curve.as_dict() for curve in figure_6(curves)],
        "figure_7": [curve.as_dict() for curve in figure_7(weights.config, curves)],
    }


def table_1(weights: Weights) -> dict[str, Any]:
    """Parameters of the enhancement model against m."""
    config = weights.config
    slices = range(1, config.slices + 1)
    counted = [sizes(weights.enhancement, config, count) for count in slices]
    return {
        "m": list(slices),
        "ours": {
            "channels": [count * config.slice_width for count in slices],
            "parameters": [size.all for size in counted],
            "parameters_edge": [size.edge for size in counted],
            "parameters_server": [size.server for size in counted],
        },
        "paper": {"channels": list(_CHANNELS), "parameters_million": list(_MILLIONS)},
    }


def table_2(config: CodecConfig, curves: Sequence[Curve]) -> dict[str, Any]:
    """PSNR against lambda and m, with the bits of both layers, at the default machine level."""
    rows = []
    for quality, weight in enumerate(config.enhancement.lambdas):
        points = [point.as_dict() for point in _by_rising_m(config, curves, quality)]
        rows.append(
            {
                "lambda": weight,
                "psnr_db": [point["psnr_db"] for point in points],
                "bits_per_pixel": [point["bits_per_pixel"] for point in points],
                "paper_psnr_db": list(_PSNR.get(weight, (None,) * len(_CHANNELS))),
            }
        )
    return {
        "m": list(range(1, config.slices + 1)),
        "machine_level": config.default_machine_quality,
        "rows": rows,
    }


def figure_6(curves: Sequence[Curve]) -> list[Curve]:
    """Enhancement alone (the paper's solid line), both layers (its dotted line), and all that was measured beside."""
    ours = [named(curves, ENHANCEMENT), named(curves, BOTH)]
    return ours + [curve for curve in curves if curve.series.kind != "ours"]


def figure_7(config: CodecConfig, curves: Sequence[Curve]) -> list[Curve]:
    """A curve over all lambdas for every m, with the bits of the enhancement alone."""
    level = f"level {config.default_machine_quality}"
    machine = next(point for point in named(curves, MACHINE).points if point.setting == level)
    by_m: list[list[Point]] = [[] for _ in range(config.slices)]
    for quality, weight in enumerate(config.enhancement.lambdas):
        for points, point in zip(by_m, _by_rising_m(config, curves, quality), strict=True):
            both = point.figures
            rate = both.bits_per_pixel - machine.figures.bits_per_pixel
            points.append(Point(f"lambda {weight:g}", Figures(rate, both.psnr_db, both.ms_ssim_db)))
    return [
        Curve(Series(f"m = {count}", "ours", ENHANCEMENT_BITS), tuple(points))
        for count, points in enumerate(by_m, 1)
    ]


def differences(weights: Weights, photos: str) -> list[dict[str, str]]:
    """What a reader has to know before holding our values against the paper's."""
    config = weights.config
    layers = sum(parameter.numel() for parameter in weights.enhancement.parameters())
    conditioned, residual = config.condition_on_machine, config.residual
    rows = [
        ("photos measured", "COCO val", photos),
        (
            "photos trained on",
            "COCO train",
            "a smaller set of photos from many sources, described in the model card",
        ),
        (
            "length of training",
            "not printed",
            "; ".join(_training(weights, name) for name in ("machine", "enhancement")),
        ),
        (
            "edge masks",
            "of Segment Anything's segments",
            "of a watershed's regions on learned boundaries, described in the model card",
        ),
        (
            "architecture of either layer",
            f"LIC-TCM, {_MILLIONS[-1]} million parameters (m = 5)",
            f"profile {config.name}, {layers / 1e6:.2f} million parameters (enhancement, m = {config.slices})",
        ),
        (
            "machine layer's loss",
            "eq. (2): nothing outside the masks counts",
            f"eq. (2) with weights of our own: {_loss_weights(weights)}",
        ),
        (
            "enhancement's entropy model",
            "does not see the machine layer",
            "conditioned on the machine layer" if conditioned else "does not see the machine layer",
        ),
        (
            "enhancement's latents",
            "free",
            "the difference to the machine layer's" if residual else "free",
        ),
        (
            "models",
            "one for each lambda and each m",
            f"one for all {config.enhancement.levels} lambdas and all {config.slices} values of m",
        ),
        (
            "m < n",
            "a model with m slices",
            f"the first m slices of the stream of the model with {config.slices}",
        ),
    ]
    return [{"subject": subject, "paper": theirs, "ours": ours} for subject, theirs, ours in rows]


def named(curves: Sequence[Curve], name: str) -> Curve:
    """The curve of that name.

    Raises:
        ResultsError: there is none.
    """
    for curve in curves:
        if curve.name == name:
            return curve
    raise ResultsError(f"the curve {name!r} was not measured: run `secondsight eval rd` without --only")


def _by_rising_m(config: CodecConfig, curves: Sequence[Curve], quality: int) -> list[Point]:
    """Our human view of one quality, cut after each of its slices."""
    points = {point.setting: point for point in named(curves, by_slices(quality)).points}
    return [points[f"{count} slices"] for count in range(1, config.slices + 1)]


def _training(weights: Weights, layer: str) -> str:
    history, recipe = _history(weights, layer)
    if "steps" not in history or not {"batch", "crop"} <= set(recipe):
        return f"{layer} layer unknown"
    crop = recipe["crop"]
    return f"{layer} layer {history['steps']} steps of {recipe['batch']} crops of {crop}x{crop}"


def _loss_weights(weights: Weights) -> str:
    _, recipe = _history(weights, "machine")
    told = [f"{recipe['outside']:g} outside the masks"] if "outside" in recipe else []
    if "detail" in recipe:
        told.append(f"{recipe['detail']:g} for detail above half the resolution")
    return ", ".join(told) or "unknown"


def _history(weights: Weights, layer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the weights file tells of a layer's training, and the recipe in it; empty where it tells nothing."""
    history = weights.training.get(layer)
    if not isinstance(history, dict):
        return {}, {}
    recipe = history.get("recipe")
    return history, recipe if isinstance(recipe, dict) else {}
