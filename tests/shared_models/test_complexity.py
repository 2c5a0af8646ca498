from __future__ import annotations

import pytest
from torch import nn, zeros

from shared_models import Codec
from shared_models.complexity import kilo_macs_per_pixel, multiply_accumulates

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
