from __future__ import annotations

import torch

from shared_models.fusion import fuse


def test_the_first_slices_are_added_and_the_rest_kept() -> None:
    machine, enhancement = torch.ones(1, 160, 2, 3), torch.full((1, 64, 2, 3), 2.0)
    fused = fuse(machine, enhancement)
    assert fused[:, :64].eq(3.0).all()
    assert fused[:, 64:].eq(1.0).all()


def test_neither_argument_is_changed() -> None:
    machine, enhancement = torch.ones(1, 160, 2, 3), torch.ones(1, 160, 2, 3)
    fuse(machine, enhancement)
    assert machine.eq(1.0).all()
    assert enhancement.eq(1.0).all()
