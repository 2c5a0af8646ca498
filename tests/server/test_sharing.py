"""Shares of the cameras: everybody decides alone, and together they come to rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.sharing import Share, share_of

MOST = 100


def _rounds(holders: dict[str, str | None], workers: list[str], most: int = MOST) -> dict[str, str | None]:
    """Let everybody look in turn until nobody changes anything."""
    for _ in range(200):
        before = dict(holders)
        for worker in workers:
            share = share_of(worker, workers, holders, most)
            for camera in share.take:
                holders[camera] = holders[camera] or worker
            for camera in share.give_back:
                assert holders[camera] == worker
                holders[camera] = None
        if holders == before:
            return holders
    raise AssertionError("they never come to rest")


@given(
    st.integers(1, 6).flatmap(
        lambda count: st.tuples(
            st.just([f"w{number}" for number in range(count)]),
            st.lists(st.one_of(st.none(), st.integers(0, count - 1)), max_size=20),
        )
    )
)
def test_shares_are_no_more_than_one_apart_and_no_camera_is_left(
    given: tuple[list[str], list[int | None]],
) -> None:
    workers, having = given
    holders = {f"c{n}": None if worker is None else workers[worker] for n, worker in enumerate(having)}
    rested = list(_rounds(holders, workers).values())
    assert None not in rested
    shares = [rested.count(worker) for worker in workers]
    assert max(shares) - min(shares) <= 1


def test_a_dead_workers_cameras_stay_its_own_until_its_leases_are_over() -> None:
    holders: dict[str, str | None] = {"a": "dead", "b": "dead", "c": None}
    assert share_of("alive", ["alive"], holders, MOST) == Share(["c"], [])


def test_a_worker_takes_no_more_than_it_can_bear() -> None:
    holders: dict[str, str | None] = dict.fromkeys("abcde")
    assert share_of("w", ["w"], holders, 3) == Share(["a", "b", "c"], [])
    assert share_of("w", ["w"], dict.fromkeys("abcde", "w"), 3) == Share([], ["d", "e"])
