"""Which way to find edges."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import torch

from shared_models.errors import MaskError, WeightsError
from shared_models.holistic_edges import weights_file
from shared_models.masks.config import DEFAULTS, MaskConfig
from shared_models.masks.gradient import GradientEdges
from shared_models.masks.holistic import LearnedEdges
from shared_models.masks.method import EdgeMethod
from shared_models.masks.segment_anything import SegmentEdges


class Method(StrEnum):
    """`auto`: Segment Anything where a checkpoint is given, else HED where its weights are there, else gradients."""

    AUTO = "auto"
    SAM = "sam"
    HED = "hed"
    GRADIENT = "gradient"


def edge_method(
    method: Method,
    checkpoint: Path | None = None,
    config: MaskConfig = DEFAULTS,
    device: torch.device | None = None,
) -> EdgeMethod:
    """Make the method ready.

    Raises:
        MaskError: Segment Anything was asked for without a checkpoint, or a checkpoint was given to another method.
        WeightsError: its weights are missing or wrong.
    """
    if method is Method.AUTO:
        method = _best(checkpoint)
    if method is not Method.SAM and checkpoint is not None:
        raise MaskError(f"method {method} uses no checkpoint: leave --checkpoint out, or use --method sam")
    if method is Method.HED:
        return LearnedEdges(config, device)
    if method is Method.GRADIENT:
        return GradientEdges(config)
    if checkpoint is None:
        raise MaskError("method sam needs a Segment Anything checkpoint: name one with --checkpoint")
    return SegmentEdges(checkpoint, config, device)


def _best(checkpoint: Path | None) -> Method:
    if checkpoint is not None:
        return Method.SAM
    try:
        weights_file()
    except WeightsError:
        return Method.GRADIENT
    return Method.HED
