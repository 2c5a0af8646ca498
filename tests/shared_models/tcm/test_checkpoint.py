"""Reading the authors' checkpoint files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from shared_models.enhancement import EnhancementLayer
from shared_models.errors import WeightsError
from shared_models.tcm.checkpoint import AuthorsCheckpoint
from shared_models.tcm.profile import paper_enhancement_layer
from tests.shared_models.tcm.authors import generated_state
from tests.shared_models.tcm.sizes import TINY


@pytest.fixture(scope="module")
def layer() -> EnhancementLayer:
    return paper_enhancement_layer(TINY)


@pytest.fixture
def state(layer: EnhancementLayer) -> dict[str, Tensor]:
    return generated_state(layer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authors.pth"


def test_plain_and_wrapped_files_give_the_same(
    layer: EnhancementLayer, state: dict[str, Tensor], path: Path
) -> None:
    tables = {"gaussian_conditional.scale_table": torch.ones(64), "entropy_bottleneck._offset": torch.ones(6)}
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": t for k, t in (state | tables).items()}}, path)
    loaded = AuthorsCheckpoint.read(path)
    assert loaded.slices == 3
    loaded.load_into(layer)
    assert torch.equal(layer.get_parameter("analysis.net.0.conv1.weight"), state["g_a.0.conv1.weight"])
    other = paper_enhancement_layer(TINY)
    torch.save(state, path)
    AuthorsCheckpoint.read(path).load_into(other)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), other.parameters(), strict=True))


def test_files_of_earlier_compressai(layer: EnhancementLayer, state: dict[str, Tensor], path: Path) -> None:
    for present, earlier in (("matrices.", "_matrix"), ("biases.", "_bias"), ("factors.", "_factor")):
        state = {key.replace(f"neck.{present}", f"neck.{earlier}"): tensor for key, tensor in state.items()}
    assert "entropy_bottleneck._matrix3" in state
    torch.save(state, path)
    AuthorsCheckpoint.read(path).load_into(layer)
    loaded = layer.get_parameter("entropy.hyper_distribution.biases.2")
    assert torch.equal(loaded, state["entropy_bottleneck._bias2"])


def test_what_does_not_fit_is_named(layer: EnhancementLayer, state: dict[str, Tensor]) -> None:
    before = [parameter.clone() for parameter in layer.parameters()]
    weight = state.pop("h_a.3.weight")
    with pytest.raises(WeightsError, match=r"here with 3 slices lacks h_a\.3\.weight"):
        AuthorsCheckpoint(state, "here").load_into(layer)
    extra = {"h_a.3.weight": weight} | {f"a.{name}": weight for name in "bcde"}
    with pytest.raises(WeightsError, match=r"more than this layer has: a\.b, a\.c, a\.d and 1 more"):
        AuthorsCheckpoint(state | extra, "here").load_into(layer)
    with pytest.raises(WeightsError, match=r"h_a\.3\.weight \(6, 16, 3\) for \(6, 16, 3, 3\)"):
        AuthorsCheckpoint(state | {"h_a.3.weight": weight[..., 0]}, "here").load_into(layer)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_other_files_are_refused(path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing"):
        AuthorsCheckpoint.read(path)
    for content in (b"", b"text", b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="no PyTorch checkpoint: name the authors'"):
            AuthorsCheckpoint.read(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="something else than tensors"):
        AuthorsCheckpoint.read(path)
    torch.save({"state_dict": {"conv.weight": torch.ones(1)}}, path)
    with pytest.raises(WeightsError, match="no checkpoint of LIC-TCM"):
        AuthorsCheckpoint.read(path)
    torch.save(Path("/"), path)
    with pytest.raises(WeightsError, match="no PyTorch checkpoint: name the authors'"):
        AuthorsCheckpoint.read(path)
