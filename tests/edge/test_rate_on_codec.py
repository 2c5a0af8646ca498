"""Rate control with the real codec on a moving scene; the only thing that is simulated is the time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge.change import ChangeMeter
from edge.config import RateConfig
from edge.rate_control import RateControl, ladder
from edge.spending import Spending
from shared_models import Codec
from shared_models.bitstream import FrameType
from shared_models.group import GroupEncoder

FRAME_RATE = 5


def scene(count: int) -> Iterator[np.ndarray]:
    """A textured wall with a sensor's noise, in front of which two patterned blocks move, 160x96."""
    chance = np.random.default_rng(5)
    wall = np.repeat(np.repeat(chance.integers(60, 190, (12, 20, 3)), 8, 0), 8, 1)
    block = np.repeat(np.repeat(chance.integers(0, 255, (8, 8, 3)), 4, 0), 4, 1)
    for index in range(count):
        image = wall + chance.normal(0, 2, wall.shape)
        for top, speed in ((8, 3), (56, -5)):
            left = (40 + speed * index) % 128
            image[top : top + 32, left : left + 32] = block
        yield np.clip(image, 0, 255).astype(np.uint8)


def run(codec: Codec, kbit_s: float, seconds: int) -> list[tuple[float, int, int]]:
    """Time, bits and level of each frame that was coded."""
    now = 1000.0
    clock = lambda: now  # noqa: E731 - reads the time that the loop below moves on
    config = RateConfig(kbit_s=kbit_s, least_frame_rate=0.2)
    control = RateControl(config, ladder(range(3), range(1), both=False), 1, Spending(clock, clock), clock)
    encoder, meter = GroupEncoder(codec), ChangeMeter()
    coded = []
    for image in scene(seconds * FRAME_RATE):
        now += 1 / FRAME_RATE
        admission = control.admit(meter.measure(image))
        if admission is None:
            continue
        meter.sent()
        if admission.key_frame:
            encoder.request_key()
        frame = encoder.encode(
            image, encoder.turn(), quality=admission.levels.human, machine_quality=admission.levels.machine
        )
        bits = 8 * len(frame.machine)
        control.coded(admission, bits, key=frame.frame_type is FrameType.SELF_CONTAINED, encode_s=0.05)
        coded.append((now, bits, admission.levels.machine))
    return coded


def mean_kbit_s(coded: list[tuple[float, int, int]], seconds: float) -> float:
    """Over the last `seconds`."""
    end = coded[-1][0]
    return sum(bits for time, bits, _ in coded if time > end - seconds) / seconds / 1000


@pytest.fixture(scope="module")
def unlimited(codec: Codec) -> float:
    """Kilobits per second of the scene at the lowest level with all its frames."""
    encoder = GroupEncoder(codec)
    bits = [
        8 * len(encoder.encode(image, encoder.turn(), quality=0, machine_quality=0).machine)
        for image in scene(20 * FRAME_RATE)
    ]
    return sum(bits) / 20 / 1000


def test_a_rate_below_what_the_scene_costs_is_met(codec: Codec, unlimited: float) -> None:
    coded = run(codec, kbit_s=unlimited / 2, seconds=80)
    assert mean_kbit_s(coded, 50) == pytest.approx(unlimited / 2, rel=0.1)
    assert {level for _, _, level in coded} == {0}


def test_a_rate_above_it_buys_the_highest_level_and_is_not_exceeded(codec: Codec, unlimited: float) -> None:
    coded = run(codec, kbit_s=3 * unlimited, seconds=40)
    assert mean_kbit_s(coded, 20) <= 3 * unlimited
    settled = [level for time, _, level in coded if time > coded[-1][0] - 20]
    assert settled == [2] * 20 * FRAME_RATE
