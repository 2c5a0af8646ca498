"""What is kept in memory stays within its bound, the most recently used longest."""

from __future__ import annotations

from server.kept_in_memory import KeptInMemory


def test_the_least_recently_used_go_first() -> None:
    kept: KeptInMemory[str, bytes] = KeptInMemory(10, len)
    for name in "abc":
        kept.keep(name, bytes(3))
    assert kept.find("a") == bytes(3)
    kept.keep("d", bytes(4))
    assert [name for name in "abcd" if kept.find(name) is not None] == ["a", "c", "d"]


def test_what_takes_a_name_again_counts_once_and_what_is_too_large_is_not_kept() -> None:
    kept: KeptInMemory[str, bytes] = KeptInMemory(10, len)
    for size in (6, 5, 6):
        kept.keep("a", bytes(size))
    kept.keep("b", bytes(4))
    assert kept.find("a") == bytes(6) and kept.find("b") == bytes(4)
    kept.keep("c", bytes(11))
    assert kept.find("c") is None
    kept.keep("d", bytes(10))
    assert kept.find("d") == bytes(10)
