from __future__ import annotations

import pytest
import torch

from shared_models.analysis import Analysis
from shared_models.config import LITE
from shared_models.evaluation.speed import pink_noise
from shared_models.light import LIGHT_CHOICES, Light, LightResponse, brightness
from shared_models.weights import Weights, shipped_weights

HALF_A_UNIT = 0.5 / 512


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """(1, 3, 128, 160), from 0.2 to 0.8, so that no change of light here leaves the range."""
    return 0.2 + 0.6 * torch.from_numpy(pink_noise(128, 160)).permute(2, 0, 1)[None] / 255.0


@pytest.fixture(scope="module", params=["machine", "enhancement"])
def analysis(request: pytest.FixtureRequest) -> Analysis:
    analysis = getattr(Weights.load(shipped_weights("lite")), request.param).analysis
    assert isinstance(analysis, Analysis)
    return analysis.eval().requires_grad_(False)


def relit(pixels: torch.Tensor, gain: float, offset: tuple[float, float, float]) -> torch.Tensor:
    return gain * pixels + torch.tensor(offset)[:, None, None]


@pytest.mark.parametrize(
    ("gain", "offset"),
    [(0.8, (0.05, 0.02, -0.03)), (1.15, (-0.02, 0.0, 0.03)), (1.0, (0.1, 0.1, 0.1))],
)
def test_gain_and_offsets_are_found_behind_things_that_moved(
    pixels: torch.Tensor, gain: float, offset: tuple[float, float, float]
) -> None:
    after = relit(pixels, gain, offset)
    after[..., 40:88, 48:96] = 0.95
    found = Light.candidates(brightness(pixels), brightness(after))[-1]
    assert found.gain.item() == pytest.approx(gain, abs=0.05)
    expected, got = relit(pixels, gain, offset), relit(pixels, found.gain.item(), tuple(found.offset[0]))
    assert (got - expected).abs().mean().item() < 0.1 * (pixels - expected).abs().mean().item()
    assert found.numbers.equal(found.numbers.round())


def test_candidates_begin_with_no_change_and_with_offsets_alone(pixels: torch.Tensor) -> None:
    offset = (0.03, -0.04, 0.05)
    none, moved, *_ = Light.candidates(brightness(pixels), brightness(relit(pixels, 1.0, offset)))
    assert (none.gain.tolist(), none.offset.tolist()) == ([[1.0]], [[0.0, 0.0, 0.0]])
    assert moved.gain.item() == 1.0
    assert moved.offset[0].tolist() == pytest.approx(offset, abs=HALF_A_UNIT + 1e-6)


def test_what_leads_to_the_same_picture_is_no_candidate_twice(pixels: torch.Tensor) -> None:
    (none,) = Light.candidates(brightness(pixels), brightness(pixels))
    assert none.changes_nothing


def test_no_number_leaves_its_range() -> None:
    before, after = torch.rand(1, 3, 4, 4) * 0.01, torch.rand(1, 3, 4, 4) * 40.0
    for light in Light.candidates(before, after) + Light.candidates(after, before):
        assert 0.0 <= light.numbers.min().item() <= light.numbers.max().item() < LIGHT_CHOICES


def test_even_pictures_are_fitted_by_offsets() -> None:
    """No gain can be told from a picture of one colour: there it stays at 1."""
    grey = torch.full((1, 3, 4, 4), 0.4)
    found = Light.candidates(grey, grey + 0.1)[-1]
    assert found.gain.item() == 1.0
    assert found.offset[0].tolist() == pytest.approx([0.1] * 3, abs=HALF_A_UNIT + 1e-6)


def test_frames_of_a_batch_have_a_light_of_their_own(pixels: torch.Tensor) -> None:
    before = torch.cat((pixels, pixels))
    after = torch.cat((relit(pixels, 0.9, (0.0, 0.0, 0.0)), relit(pixels, 1.1, (0.0, 0.0, 0.0))))
    found = Light.fitted(brightness(before), brightness(after), 0.5)
    assert found.gain.flatten().tolist() == pytest.approx([0.9, 1.1], abs=0.02)


def test_brightness_is_the_mean_of_what_a_latent_stands_for() -> None:
    pixels = torch.rand(1, 3, 48, 32)
    cells = brightness(pixels)
    assert cells.shape == (1, 3, 3, 2)
    assert torch.allclose(cells[0, :, 1, 1], pixels[0, :, 16:32, 16:32].mean((1, 2)))
    assert torch.allclose(cells[0, :, 2, 0], pixels[0, :, 32:, :16].mean((1, 2)))


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 0.05), (1.15, 0.0), (1.0, 0.1)])
def test_relit_latents_are_those_of_the_relit_picture(
    analysis: Analysis, pixels: torch.Tensor, gain: float, offset: float
) -> None:
    response = LightResponse(analysis, torch.device("cpu"))
    light = Light(torch.tensor([[512.0 * gain, *[512.0 + 1024.0 * offset] * 3]]).round())
    after = relit(pixels, light.gain.item(), tuple(light.offset[0]))
    before, expected = analysis(pixels), analysis(after)
    error = (response.relit(before, light) - expected).norm() / (expected - before).norm()
    assert error.item() < 0.15


def test_untouched_light_leaves_latents_as_they_are() -> None:
    response = LightResponse(Analysis(LITE, LITE.machine.analysis), torch.device("cpu"))
    latents = torch.randn(1, LITE.latents, 4, 5)
    none = Light.unchanged(1, torch.device("cpu"))
    assert response.relit(latents, none) is latents
