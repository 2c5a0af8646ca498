"""Rate control on a simulated camera: its bits depend on level, change and chance, its time is simulated."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from edge.config import RateConfig
from edge.metrics import DropReason
from edge.rate_control import FrameCost, Levels, RateControl, ladder
from edge.spending import Spending

MIDNIGHT = 1_700_006_400.0
"""UTC, seconds since the epoch."""


@dataclass
class Camera:
    """A simulated camera and encoder behind a real rate control.

    Attributes:
        ratio: bits of a level against those of the one below.
        sent: time, bits, step and change of each frame that was sent.
    """

    config: RateConfig
    levels: int = 4
    frame_rate: float = 10.0
    ratio: float = 1.5
    key_bits: float = 60_000.0
    changed_bits: float = 60_000.0
    group: int = 250
    wall_ahead_s: float = 0.0
    now: float = MIDNIGHT
    sent: list[tuple[float, float, int, float]] = field(default_factory=list)
    offered: int = 0
    _since_key: int = 10**9

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(1)
        self.spending = Spending(self.wall, self.clock)
        steps = ladder(range(self.levels), range(3), self.config.both_layers)
        self.control = RateControl(self.config, steps, 2, self.spending, self.clock)

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_ahead_s

    def run(self, seconds: float, change: float) -> None:
        """Capture frames of which the share `change` is new each time."""
        for _ in range(round(seconds * self.frame_rate)):
            self.now += 1 / self.frame_rate
            self.offered += 1
            admission = self.control.admit(change)
            if admission is None:
                continue
            self._since_key += 1
            key = admission.key_frame or self._since_key >= self.group
            if key:
                self._since_key = 0
            bits = self.key_bits if key else 600 + self.changed_bits * change
            bits *= self.ratio**admission.step * self._chance.lognormal(0, 0.2)
            self.control.coded(admission, round(bits), key, encode_s=0.02)
            self.spending.machine(round(bits / 8))
            self.sent.append((self.now, bits, admission.step, change))

    def since(self, moment: float) -> list[tuple[float, float, int, float]]:
        return [frame for frame in self.sent if frame[0] > moment]

    def kbit_s(self, seconds: float) -> float:
        return sum(bits for _, bits, _, _ in self.since(self.now - seconds)) / seconds / 1000

    def frames_s(self, seconds: float) -> float:
        return len(self.since(self.now - seconds)) / seconds

    def steps(self, seconds: float) -> list[int]:
        return [step for _, _, step, _ in self.since(self.now - seconds)]


def changes(steps: list[int]) -> int:
    return sum(one != other for one, other in pairwise(steps))


@pytest.mark.parametrize("kbit_s", [20, 100, 150, 200, 225, 300, 450, 900])
@pytest.mark.parametrize("ratio", [1.2, 1.5, 2.2])
def test_a_moving_scene_is_sent_at_its_target_and_its_level_does_not_swing(
    kbit_s: float, ratio: float
) -> None:
    camera = Camera(RateConfig(kbit_s=kbit_s), ratio=ratio)
    camera.run(1800, change=0.2)
    at_the_lowest = camera.frame_rate * (600 + 0.2 * camera.changed_bits) / 1000
    spent = camera.kbit_s(1200)
    assert spent <= 1.03 * kbit_s
    if kbit_s <= at_the_lowest:
        assert spent >= 0.97 * kbit_s, "frames are left out until it fits"
        assert set(camera.steps(1200)) == {0}
    else:
        # No level fits better: the next one up would not keep the rate, or not with its margin.
        fitting = min(kbit_s * (1 - camera.config.margin) / ratio, at_the_lowest * ratio**3)
        assert spent >= fitting / 1.05
        if kbit_s > 1.4 * at_the_lowest * ratio**3:
            assert set(camera.steps(1200)) == {3}
        assert camera.frames_s(600) == pytest.approx(camera.frame_rate, rel=0.01)
    assert changes(camera.steps(1200)) == 0


def test_a_scene_that_costs_less_than_the_target_loses_no_frame_and_has_the_highest_level() -> None:
    camera = Camera(RateConfig(kbit_s=200))
    camera.run(300, change=0.01)
    assert len(camera.sent) == camera.offered
    assert set(camera.steps(120)) == {3}


def test_when_bits_are_short_the_frames_with_little_change_are_left_out() -> None:
    camera = Camera(RateConfig(kbit_s=36, least_frame_rate=0.5), levels=1)
    camera.run(60, change=0.2)
    before = camera.now
    for _ in range(60):
        camera.run(0.5, change=0.2)
        camera.run(1.5, change=0.0)
    moving = [frame for frame in camera.since(before) if frame[3] > 0]
    still = [frame for frame in camera.since(before) if frame[3] == 0]
    assert len(moving) / 300 > 0.9
    assert len(still) / 900 < 0.6
    assert camera.kbit_s(120) <= 36 * 1.05


def test_a_still_scene_is_thinned_to_the_least_frame_rate_while_bits_are_short() -> None:
    camera = Camera(RateConfig(kbit_s=5, least_frame_rate=0.5), levels=1)
    camera.run(120, change=0.5)
    before = camera.now
    camera.run(4, change=0.0)
    assert len(camera.since(before)) in (2, 3)


def test_the_least_frame_rate_is_kept_whatever_it_costs() -> None:
    camera = Camera(RateConfig(kbit_s=1, least_frame_rate=2.0))
    camera.run(120, change=0.5)
    assert camera.frames_s(60) == pytest.approx(2.0, rel=0.05)
    assert set(camera.steps(60)) == {0}
    assert camera.kbit_s(60) > 1
    # What was overspent then is not paid for by the hour.
    camera.run(60, change=0.0)
    assert camera.frames_s(10) >= 2.0


def test_bursts_of_motion_do_not_swing_the_level() -> None:
    camera = Camera(RateConfig(kbit_s=60))
    for _ in range(90):
        camera.run(15, change=0.3)
        camera.run(15, change=0.002)
    assert changes(camera.steps(1800)) <= 8
    assert camera.kbit_s(1800) <= 60 * 1.03


def test_a_scene_that_grows_dearer_is_followed_downwards_within_seconds() -> None:
    camera = Camera(RateConfig(kbit_s=100))
    camera.run(300, change=0.01)
    assert camera.steps(1)[-1] == 3
    camera.run(15, change=0.5)
    assert camera.steps(1)[-1] == 0
    camera.run(60, change=0.5)
    assert camera.kbit_s(60) <= 103


def test_a_level_that_rises_asks_for_a_key_frame_and_one_that_falls_does_not() -> None:
    camera = Camera(RateConfig(kbit_s=1000))
    asked = []
    for _ in range(400):
        camera.now += 0.1
        admission = camera.control.admit(0.0)
        assert admission is not None
        asked.append((admission.step, admission.key_frame))
        camera.control.coded(admission, 1000, admission.key_frame, 0.02)
    assert [step for step, key in asked if key] == [1, 2, 3]


def test_a_frame_that_fails_gives_its_bits_back() -> None:
    camera = Camera(RateConfig(kbit_s=20, least_frame_rate=0.01), levels=1)
    camera.run(60, change=0.5)
    camera.now += 60
    for _ in range(1000):
        admission = camera.control.admit(1.0)
        assert admission is not None
        camera.control.failed(admission)


@pytest.mark.parametrize("ahead_s", [-7200.0, 7200.0])
def test_a_wall_clock_that_is_set_changes_no_rate(ahead_s: float) -> None:
    camera = Camera(RateConfig(kbit_s=20), now=MIDNIGHT + 43_200)
    camera.run(300, change=0.2)
    camera.wall_ahead_s = ahead_s
    camera.run(60, change=0.2)
    assert camera.kbit_s(60) == pytest.approx(20, rel=0.2)


def test_a_daily_budget_is_spread_over_the_day() -> None:
    # 4.32 MB are 400 bit/s over a day: too little for the clip of the simulation at any level.
    camera = Camera(RateConfig(daily_mb=4.32, least_frame_rate=0.01), frame_rate=0.5, now=MIDNIGHT)
    hours = []
    for _ in range(24):
        before = camera.spending.today_bytes
        camera.run(3599, change=0.2)
        hours.append(camera.spending.today_bytes - before)
        camera.now = MIDNIGHT + 3600 * len(hours)
    assert sum(hours) <= 4_320_000 * 1.01
    assert sum(hours[:12]) == pytest.approx(2_160_000, rel=0.1)
    assert camera.spending.today_bytes == 0, "a new day"


def test_what_a_quiet_morning_saves_is_there_in_the_evening() -> None:
    camera = Camera(RateConfig(kbit_s=100, daily_mb=43.2), levels=1, frame_rate=5, now=MIDNIGHT)
    assert camera.control.allowed_bit_s == pytest.approx(4000)
    camera.now = MIDNIGHT + 43_200
    assert camera.control.allowed_bit_s == pytest.approx(8000)
    camera.now = MIDNIGHT + 86_400 - 60
    assert camera.control.allowed_bit_s == pytest.approx(43.2e6 * 8 / 3600), "not all in the last minute"
    camera.now = MIDNIGHT + 86_400 - 600
    small = Camera(RateConfig(kbit_s=3, daily_mb=43.2), now=camera.now)
    assert small.control.allowed_bit_s == pytest.approx(3000)


@pytest.mark.parametrize("used_up", ["lowest", "stop"])
def test_a_budget_that_is_used_up_means_the_lowest_bound_or_by_choice_nothing_until_midnight(
    used_up: str,
) -> None:
    config = RateConfig(daily_mb=100, least_frame_rate=1.0, when_used_up=used_up)  # type: ignore[arg-type]
    camera = Camera(config, now=MIDNIGHT + 43_200)
    camera.run(60, change=0.01)
    camera.spending.machine(100_000_000)
    before = camera.now
    camera.run(30, change=0.5)
    after = camera.since(before)
    assert camera.control.admit(1.0) is None
    if used_up == "stop":
        assert not after
        assert camera.control.why_left_out == DropReason.BUDGET
    else:
        assert len(after) == pytest.approx(30, abs=1)
        assert {step for _, _, step, _ in after} == {0}
        assert camera.control.why_left_out == DropReason.RATE
    camera.now = MIDNIGHT + 86_400
    camera.run(10, change=0.01)
    assert len(camera.since(MIDNIGHT + 86_400)) > 10


def test_the_report_says_what_is_asked_for_and_what_is_allowed() -> None:
    camera = Camera(RateConfig(kbit_s=100, daily_mb=43.2), now=MIDNIGHT)
    report = camera.control.report()
    assert (report.target_kbit_s, report.budget_bytes) == (100, 43_200_000)
    assert report.allowed_kbit_s == pytest.approx(4.0)
    assert (report.machine_level, report.human_level) == (0, 2)


def test_the_ladder_climbs_both_layers_where_both_cost() -> None:
    assert ladder(range(1, 3), range(4), both=False) == (Levels(1, 3), Levels(2, 3))
    assert ladder(range(1, 3), range(4), both=True) == (
        Levels(1, 0),
        Levels(1, 1),
        Levels(2, 2),
        Levels(2, 3),
    )
    assert ladder(range(2, 3), range(3, 4), both=True) == (Levels(2, 3),)


def test_the_cost_of_a_step_is_learned_when_it_is_taken() -> None:
    cost = FrameCost(steps=3, ratio=1.5, settle=4, weight=0.1)
    assert cost.at(2) == 0.0
    for _ in range(50):
        cost.observe(0, 100.0)
    assert cost.at(1) == pytest.approx(150)
    for _ in range(3):
        for _ in range(50):
            cost.observe(1, 300.0)
        for _ in range(50):
            cost.observe(0, 100.0)
    assert cost.at(1) == pytest.approx(300, rel=0.05)
    assert cost.at(2) == pytest.approx(1.5 * cost.at(1)), "nothing was learned of this one"
