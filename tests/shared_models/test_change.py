from __future__ import annotations

import torch

from shared_models.change import change


def test_change_is_counted_in_squared_quantiser_steps_over_all_channels() -> None:
    before, y = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    y[0, 0, 1, 2], y[0, 1, 1, 2], y[0, 1, 2, 3] = 1.0, -2.0, 0.5
    gain = torch.tensor([3.0, 2.0])[None, :, None, None]
    expected = torch.zeros(1, 1, 3, 4)
    expected[0, 0, 1, 2] = (1.0 * 3.0) ** 2 + (2.0 * 2.0) ** 2
    expected[0, 0, 2, 3] = (0.5 * 2.0) ** 2
    assert torch.equal(change(y, before, gain), expected)
    assert torch.equal(change(before, y, gain), expected)


def test_every_frame_of_a_batch_is_judged_by_its_own_level() -> None:
    y, before = torch.ones(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
    gain = torch.tensor([1.0, 2.0])[:, None, None, None].expand(2, 3, 1, 1)
    assert change(y, before, gain)[:, 0, 0, 0].tolist() == [3.0, 12.0]
