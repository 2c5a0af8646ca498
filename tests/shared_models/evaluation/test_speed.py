from __future__ import annotations

from shared_models.evaluation.speed import timed


def test_timings_are_of_the_call_alone() -> None:
    calls: list[None] = []
    timing = timed("x", 5, lambda: calls.append(None), size=7)
    assert len(calls) == 6
    assert 0 < timing.best_ms <= timing.median_ms
