from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared_models.stages import Stages


def test_a_stage_within_another_counts_for_itself_alone() -> None:
    stages = Stages()
    begun = time.perf_counter()
    with stages.stage("outer"):
        time.sleep(0.02)
        with stages.stage("inner"):
            time.sleep(0.03)
        with stages.stage("inner"):
            time.sleep(0.03)
    taken = time.perf_counter() - begun
    seconds = stages.seconds
    assert list(seconds) == ["inner", "outer"]
    assert seconds["inner"] >= 0.06
    assert seconds["outer"] >= 0.02
    assert sum(seconds.values()) <= taken


def test_a_stage_counts_when_it_fails() -> None:
    stages = Stages()
    with pytest.raises(KeyError), stages.stage("failing"):
        raise KeyError
    assert set(stages.seconds) == {"failing"}


def test_stages_of_threads_add_up_and_do_not_nest() -> None:
    stages = Stages()

    def work(_: int) -> None:
        with stages.stage("work"):
            time.sleep(0.02)

    with stages.stage("waiting"), ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(4)))
    assert stages.seconds["work"] >= 0.08
    assert stages.seconds["waiting"] >= 0.04
