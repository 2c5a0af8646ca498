"""Files of measurements, read again by what is made from them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shared_models.errors import ResultsError
from shared_models.evaluation.rate_distortion import Curve, Figures, Point, Series


def read_results(path: Path, made_by: str, keys: Iterable[str]) -> dict[str, Any]:
    """The figures in a JSON file.

    Args:
        made_by: the command that makes the file, for the errors.
        keys: what has to stand in it.

    Raises:
        ResultsError: it is missing, damaged or some other file.
    """
    remedy = f"make it with `{made_by}`"
    try:
        figures = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ResultsError(f"{path} is missing: {remedy}") from error
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}): {remedy}") from error
    missing = [key for key in keys if not isinstance(figures, dict) or key not in figures]
    if missing:
        raise ResultsError(f"{path} holds no {', no '.join(missing)}: {remedy}")
    return dict(figures)


def same_model(models: Mapping[str, str]) -> None:
    """Compare the models that files, by their names, or weights are about.

    Raises:
        ResultsError: they differ.
    """
    if len(set(models.values())) > 1:
        told = "; ".join(f"{name}: {model}" for name, model in models.items())
        raise ResultsError(f"these are figures of different models ({told}): measure again with one of them")


def curves_in(figures: Mapping[str, Any]) -> list[Curve]:
    """The curves of a file that `Curve.as_dict` wrote.

    Raises:
        ResultsError: one of them is damaged.
    """
    try:
        return [_curve(curve) for curve in figures["curves"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(
            f"a curve lacks a figure ({error!r}): measure again with this version's `eval`"
        ) from error


def _curve(curve: Mapping[str, Any]) -> Curve:
    return Curve(
        Series(curve["name"], curve["kind"], curve["counts"]),
        tuple(
            Point(
                point["setting"],
                Figures(
                    float(point["bits_per_pixel"]),
                    math.inf if point["psnr_db"] is None else float(point["psnr_db"]),
                    point["ms_ssim_db"],
                ),
            )
            for point in curve["points"]
        ),
    )
