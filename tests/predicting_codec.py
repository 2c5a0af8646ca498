"""A codec that predicts frames, whatever weights are shipped."""

from __future__ import annotations

from dataclasses import replace

import torch

from shared_models import Codec
from shared_models.profile import predicted_models
from shared_models.weights import Weights, shipped_weights


def predicting_weights() -> Weights:
    """The shipped weights of lite; where they predict nothing, with untrained models of predicted frames.

    Those code as exactly as trained ones, in more bytes.
    """
    weights = Weights.load(shipped_weights("lite"))
    if weights.predicted is None:
        torch.manual_seed(0)
        weights = replace(weights, predicted=predicted_models(weights.config))
    return weights


def predicting_codec() -> Codec:
    """The codec with these weights, on the CPU."""
    return Codec(predicting_weights(), "cpu")
