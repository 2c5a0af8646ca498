"""Entropy models of predicted frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared_models.config import LITE, PAPER
from shared_models.entropy_model import Context, Level, Prediction
from shared_models.errors import WeightsError
from shared_models.layer import LayerEntropyModel
from shared_models.profile import predicted_models
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.prediction import predicting

LEVEL = Level(torch.tensor([2]), torch.tensor([0]))
SIZE = (6, 7)
LATENTS = (1, LITE.latents, *SIZE)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights.load(shipped_weights("lite"))


@pytest.fixture(scope="module", params=["machine", "enhancement"])
def layer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def prediction(changed: torch.Tensor, seed: int = 1) -> Prediction:
    return Prediction((4.0 * noise(*LATENTS, seed=seed)).round(), noise(*LATENTS, seed=seed + 1), changed)


def walked(
    entropy: LayerEntropyModel, told: Prediction | None, slices: int = LITE.slices
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Symbols, latents and sigma indices of latents that are the same in every call."""
    size = SIZE if told is None else (told.changed.shape[2], told.changed.shape[3])
    shape = (1, LITE.latents, *size)
    y = 2.0 * noise(*shape, seed=3)
    context = (
        Context((3.0 * noise(*shape, seed=4)).round(), noise(*shape, seed=5)) if entropy.conditioned else None
    )
    scaled = entropy.split(y * entropy.gain(LEVEL))
    indices: list[torch.Tensor] = []

    def visit(k: int, index: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        indices.append(index)
        q = torch.round(scaled[k] - mean) * (index > 0)
        return q if told is None else told.completed(k, q)

    with torch.no_grad():
        z = torch.round(entropy.hyper_latents(y, LEVEL))
        symbols, latents = entropy.walk(z, size, LEVEL, context, slices, visit, told)
    return symbols, latents, torch.cat(indices, 1)


def started(weights: Weights, layer: str) -> tuple[LayerEntropyModel, LayerEntropyModel]:
    """The model of self-contained frames, and that of predicted ones as training begins with it."""
    still, predicted = getattr(weights, layer).entropy, getattr(predicted_models(LITE), layer)
    assert isinstance(still, LayerEntropyModel) and isinstance(predicted, LayerEntropyModel)
    predicted.start_predicted(still)
    return still, predicted


def test_training_begins_as_the_model_of_self_contained_frames(weights: Weights, layer: str) -> None:
    """To the last bit but where more inputs leave less room for the weights of the exact path."""
    still, predicted = started(weights, layer)
    everywhere = torch.ones(1, 1, *SIZE, dtype=torch.bool)
    expected, found = walked(still, None), walked(predicted, prediction(everywhere))
    symbols, latents, indices = (a - b for a, b in zip(expected, found, strict=True))
    assert indices.abs().max().item() <= 1.0
    assert indices.count_nonzero().item() < 0.1 * indices.numel()
    assert symbols.count_nonzero().item() < 0.001 * symbols.numel()
    assert latents.square().mean().item() < 1e-3 * expected[1].square().mean().item()


def test_training_begins_blind_to_the_reference(weights: Weights, layer: str) -> None:
    _, predicted = started(weights, layer)
    everywhere = torch.ones(1, 1, *SIZE, dtype=torch.bool)
    for one, other in zip(
        walked(predicted, prediction(everywhere)),
        walked(predicted, prediction(everywhere, seed=20)),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_what_did_not_change_is_the_references_and_costs_nothing(weights: Weights, layer: str) -> None:
    _, predicted = started(weights, layer)
    changed = noise(1, 1, *SIZE, seed=8) > 0.5
    told = prediction(changed)
    symbols, latents, indices = walked(predicted, told)
    kept = ~changed.expand(LATENTS)
    assert torch.equal(symbols[kept], told.symbols[kept])
    assert torch.equal(latents[kept], told.latents[kept])
    assert not indices[kept].any()
    assert not torch.equal(symbols, told.symbols)


@pytest.mark.parametrize("slices", [1, 3])
def test_fewer_slices_need_no_more_of_the_reference(weights: Weights, layer: str, slices: int) -> None:
    predicted = getattr(predicting(weights).predicted, layer)
    changed = noise(1, 1, *SIZE, seed=8) > 0.0
    whole, other = prediction(changed), prediction(changed, seed=20)
    channels = slices * LITE.slice_width
    part = Prediction(
        torch.cat((whole.symbols[:, :channels], other.symbols[:, channels:]), 1),
        torch.cat((whole.latents[:, :channels], other.latents[:, channels:]), 1),
        changed,
    )
    for cut, full in zip(walked(predicted, part, slices), walked(predicted, whole), strict=True):
        assert torch.equal(cut, full[:, :channels])
    (seen, *_) = walked(predicted, other, slices)
    assert not torch.equal(seen, walked(predicted, whole, slices)[0])


def test_a_prediction_is_given_to_predicted_layers_and_to_no_others(weights: Weights, layer: str) -> None:
    still, predicted = started(weights, layer)
    told = prediction(torch.ones(1, 1, *SIZE, dtype=torch.bool))
    for model, given in ((still, told), (predicted, None)):
        with pytest.raises(ValueError, match="for predicted ones"):
            walked(model, given)


def test_hyper_latents_stand_for_what_changed_alone() -> None:
    changed = torch.zeros(1, 1, 6, 7, dtype=torch.bool)
    changed[0, 0, 5, 1] = True
    told = prediction(changed)
    assert told.hyper_changed[0, 0].tolist() == [[False, False], [True, False]]
    y = noise(*LATENTS, seed=9)
    difference = told.difference(y)
    assert torch.equal(difference[..., 5, 1], (y - told.latents)[..., 5, 1])
    assert difference.count_nonzero() <= LITE.latents


def test_the_profile_paper_predicts_nothing() -> None:
    with pytest.raises(WeightsError, match="'paper' has no predicted frames"):
        predicted_models(PAPER)


def test_weights_with_and_without_predicted_frames_come_back(weights: Weights, tmp_path: Path) -> None:
    still, predicts = replace(weights, predicted=None), predicting(weights)
    for written in (still, predicts):
        written.save(tmp_path / "weights.safetensors")
        read = Weights.load(tmp_path / "weights.safetensors")
        assert (read.predicted is None) == (written.predicted is None)
        assert (read.model_id, read.predicting_id) == (written.model_id, written.predicting_id)
    assert still.predicting_id != predicts.predicting_id
    assert still.model_id == predicts.model_id


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_nets_run_where_something_changed_and_find_the_same_there(
    weights: Weights, layer: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted = getattr(predicting(weights).predicted, layer)
    size = (20, 30)
    latents = (1, LITE.latents, *size)
    changed = torch.rand((1, 1, *size), generator=torch.Generator().manual_seed(8)) < share
    told = Prediction((4.0 * noise(*latents, seed=1)).round(), noise(*latents, seed=2), changed)
    somewhere = walked(predicted, told)
    monkeypatch.setattr(predicted, "_seen_from", lambda changed: torch.arange(changed.numel()))
    everywhere = walked(predicted, told)
    assert torch.equal(somewhere[2], everywhere[2])
    assert torch.equal(somewhere[0], everywhere[0])
    assert torch.allclose(somewhere[1], everywhere[1], atol=1e-4)
