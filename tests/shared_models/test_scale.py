from __future__ import annotations

import torch

from shared_models.scale import LEVELS, index_of, log_sigma_of, sigma_of, sigmas


def test_indices_and_standard_deviations_agree() -> None:
    index = torch.arange(LEVELS, dtype=torch.float32)
    assert torch.equal(index_of(log_sigma_of(sigma_of(index))), index)
    torch.testing.assert_close(sigma_of(index), torch.tensor(sigmas()), rtol=1e-5, atol=0.0)


def test_indices_stay_within_the_tables() -> None:
    assert index_of(torch.tensor([-50.0, 50.0])).tolist() == [0.0, LEVELS - 1.0]


def test_descent_can_lead_back_into_the_range_but_not_further_out() -> None:
    log_sigma = torch.tensor([-2.0, -2.0, 9.0, 9.0], requires_grad=True)
    (index_of(log_sigma) * torch.tensor([1.0, -1.0, 1.0, -1.0])).sum().backward()
    assert log_sigma.grad is not None
    assert (log_sigma.grad != 0).tolist() == [False, True, True, False]
