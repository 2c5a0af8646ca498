"""The schedule comes from its seed alone, and growth is told from noise."""

from __future__ import annotations

from itertools import islice

import numpy as np

from tests.chaos.campaign import Log, schedule
from tests.chaos.faults import FAULTS
from tests.chaos.footprint import trend


def test_a_seed_gives_the_same_faults_again_and_another_one_others() -> None:
    kinds = list(FAULTS)
    first = list(islice(schedule(7, kinds), 100))
    assert first == list(islice(schedule(7, kinds), 100))
    assert first != list(islice(schedule(8, kinds), 100))


def test_every_kind_comes_once_before_any_comes_twice() -> None:
    kinds = list(FAULTS)
    drawn = [kind for step in islice(schedule(7, kinds), len(kinds)) for kind in step.kinds]
    assert sorted(drawn[: len(kinds)]) == sorted(kinds)


def test_two_faults_at_once_do_not_speak_for_one() -> None:
    log = Log()
    log.injected.update(["a", "b", "a"])
    log.recovered(("a", "b"), 5.0)
    log.recovered(("a",), 2.0)
    assert log.rows() == [("a", 2, 2.0, 2.0), ("b", 1, None, None), ("two faults at once", 1, 5.0, 5.0)]


def _flat(values: np.ndarray) -> bool:
    return trend("server", "rss_kb", [2.0 * at for at in range(len(values))], list(values)).flat


def test_growth_is_told_from_noise() -> None:
    noise = np.random.default_rng(5).normal(0, 500, 300)
    assert _flat(300_000 + noise)
    assert not _flat(300_000 + noise + np.linspace(0, 60_000, 300))
    assert not _flat(300_000 + np.linspace(0, 60_000, 300))


def test_a_walk_without_direction_is_no_growth_that_is_sure() -> None:
    steps = np.random.default_rng(3).normal(0, 300, 300)
    wanders = trend("server", "rss_kb", [2.0 * at for at in range(300)], list(300_000 + np.cumsum(steps)))
    independent = trend("server", "rss_kb", [2.0 * at for at in range(300)], list(300_000 + steps))
    assert wanders.error > 5 * independent.error
