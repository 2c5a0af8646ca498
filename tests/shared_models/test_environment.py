from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_models.environment import Environment


def test_the_cpu_is_named() -> None:
    here = Environment.of(torch.device("cpu"))
    capability = torch.backends.cpu.get_cpu_capability().lower()
    version = ".".join(torch.__version__.split(".")[:2])
    assert str(here) == f"cpu/{capability} with torch {version}"
    assert 0 < here.packed() < 2**16
    assert Environment.unpacked(here.packed()) == here


def test_gpus_are_named_by_their_compute_capability() -> None:
    assert str(Environment("cuda", 9, (2, 13))) == "cuda/9 with torch 2.13"


@settings(deadline=None)
@given(st.integers(0, 2**16 - 1))
def test_any_bits_are_some_environment(packed: int) -> None:
    assert Environment.unpacked(packed).packed() == packed
    assert str(Environment.unpacked(packed))
