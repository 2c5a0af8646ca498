from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn, zeros

from shared_models import Codec
from shared_models.complexity import kilo_macs_per_pixel, multiply_accumulates
from shared_models.weights import Weights, shipped_weights

MOST_AT_THE_EDGE = 15.0
"""Thousand multiply-accumulates per pixel, both encoders together: what two CPU cores can carry."""


def test_a_convolution_is_counted_as_its_definition_says() -> None:
    net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=2))
    counted = multiply_accumulates(net, lambda: net(zeros(1, 4, 5, 6)))
    assert counted.total() == 5 * 6 * 8 * (4 // 2) * 9


def test_the_edge_is_light_and_the_server_strong(codec: Codec) -> None:
    costs = kilo_macs_per_pixel(codec)
    assert costs["encode"].total() <= MOST_AT_THE_EDGE
    for layer in ("machine", "enhancement"):
        assert costs["encode"][f"{layer}.synthesis"] == 0.0
    assert costs["decode_human"]["enhancement.synthesis"] > costs["encode"]["enhancement.analysis"]


def test_counting_leaves_nothing_behind(codec: Codec) -> None:
    kilo_macs_per_pixel(codec)
    assert not any(part._forward_hooks for part in codec.layers.modules())


@pytest.mark.parametrize("operation", ["decode_machine", "decode_human"])
def test_decoding_runs_no_analysis(codec: Codec, operation: str) -> None:
    counted = kilo_macs_per_pixel(codec)[operation]
    assert counted["machine.analysis"] + counted["enhancement.analysis"] == 0.0


def test_a_predicted_frame_runs_the_models_of_predicted_frames_alone(predicting_codec: Codec) -> None:
    costs = kilo_macs_per_pixel(predicting_codec)
    for operation in ("encode_predicted", "decode_predicted_machine", "decode_predicted_human"):
        counted = costs[operation]
        assert counted["predicted.machine"] > 0.0
        assert counted["machine.entropy"] + counted["enhancement.entropy"] == 0.0
    assert costs["decode_predicted_machine"]["predicted.enhancement"] == 0.0
    assert costs["encode_predicted"].total() <= MOST_AT_THE_EDGE
    for layer in ("machine", "enhancement"):
        assert costs["decode_reference"][f"{layer}.synthesis"] == 0.0


def test_a_model_without_predicted_frames_has_no_such_costs() -> None:
    weights = replace(Weights.load(shipped_weights("lite")), predicted=None)
    assert kilo_macs_per_pixel(Codec(weights, "cpu"), 64).keys() == {
        "encode",
        "decode_machine",
        "decode_human",
    }
