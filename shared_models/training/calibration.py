"""Measures weights for analyses in 8 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from shared_models.analysis import Analysis
from shared_models.eight_bit import AnalysisRanges, Ranges, measured_ranges
from shared_models.errors import WeightsError
from shared_models.photo_file import read_picture
from shared_models.picture import pixels_of
from shared_models.transform import Transform
from shared_models.weights import Weights


def calibrated(weights: Weights, photos: Sequence[Path]) -> Weights:
    """`weights` with the ranges of what their analyses compute for these photos. The model stays the same.

    Raises:
        WeightsError: the profile's analyses compute in floats alone.
        PhotoError: a photo cannot be read.
    """

    def ranges(transform: Transform) -> Ranges:
        if not isinstance(transform, Analysis) or not isinstance(transform.blocks, nn.Sequential):
            raise WeightsError(f"the analyses of profile {weights.config.name!r} compute in floats alone")
        stem = transform.stem

        def batches() -> Iterator[Tensor]:
            for photo in photos:
                yield stem(pixels_of(read_picture(photo), weights.config.stride, torch.device("cpu")))

        return measured_ranges(transform.blocks, batches())

    measured = AnalysisRanges(ranges(weights.machine.analysis), ranges(weights.enhancement.analysis))
    return replace(weights, ranges=measured)
