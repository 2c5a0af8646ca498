"""Against the paper's Table I, and number for number against the authors' own network with generated weights."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from shared_models.config import PAPER
from shared_models.enhancement import EnhancementLayer
from shared_models.entropy_model import Level
from shared_models.single import SingleLayer
from shared_models.tcm.checkpoint import AuthorsCheckpoint, authors_key
from shared_models.tcm.profile import (
    enhancement_parameters,
    paper_enhancement_layer,
    paper_single_layer,
    unallocated_enhancement_layer,
)
from shared_models.training.estimate import Estimate, estimate
from tests.shared_models.tcm.authors import generated_pixels, generated_state

AnyLayer = TypeVar("AnyLayer", SingleLayer, EnhancementLayer)
TABLE_I = {1: 45_918_292, 2: 51_690_900, 3: 58_723_412, 4: 67_015_828, 5: 76_568_148}


@pytest.fixture(scope="module")
def expected() -> Any:
    return json.loads((Path(__file__).parent / "authors_expected.json").read_text())


@pytest.fixture(scope="module")
def machine() -> SingleLayer:
    return with_generated_weights(paper_single_layer(PAPER))


@pytest.fixture(scope="module")
def machine_coded(machine: SingleLayer) -> Estimate:
    return coded(machine, machine.analysis(generated_pixels()))


def with_generated_weights(layer: AnyLayer) -> AnyLayer:
    AuthorsCheckpoint(generated_state(layer), "generated").load_into(layer)
    return layer.eval().requires_grad_(False)


def coded(layer: SingleLayer | EnhancementLayer, y: Tensor) -> Estimate:
    level = Level(torch.tensor([0]), torch.tensor([0]))
    return estimate(layer.entropy, y, level, None, layer.entropy.slices, None)


def agree(ours: Tensor, theirs: Any) -> None:
    assert list(ours.shape) == theirs["shape"]
    assert ours.double().mean().item() == pytest.approx(theirs["mean"], rel=1e-4)
    assert ours.double().std().item() == pytest.approx(theirs["std"], rel=1e-4)
    flat = ours.flatten()
    ends = torch.cat((flat[:8], flat[-8:])).tolist()
    assert ends == pytest.approx(theirs["first"] + theirs["last"], abs=1e-3)


def test_enhancement_has_the_parameters_of_table_i() -> None:
    assert enhancement_parameters(PAPER) == TABLE_I


@pytest.mark.parametrize("m", [4, 5])
def test_parameters_are_those_of_the_authors_files(m: int, data_root: Path) -> None:
    folder = data_root.parent / "reference" / "authors_checkpoint"
    if not folder.is_dir():
        pytest.skip(f"no list of the authors' parameters: {folder} is missing")
    name = "machine" if m == 5 else "enhancement_m4"
    with (folder / f"{name}_keys.tsv").open() as file:
        theirs = {row["key"]: row["shape"] for row in csv.DictReader(file, delimiter="\t")}
    layer = unallocated_enhancement_layer(replace(PAPER, m=m))
    ours = {authors_key(k): "x".join(map(str, t.shape)) for k, t in layer.state_dict().items()}
    derived = {key for key in theirs if key.startswith("gaussian_conditional.")}
    assert ours == {key: shape for key, shape in theirs.items() if key not in derived}


def test_machine_layer_agrees_with_the_authors(
    machine: SingleLayer, machine_coded: Estimate, expected: Any
) -> None:
    theirs = expected["machine"]
    agree(machine_coded.latents, theirs["y_hat"])
    agree(machine.synthesis(machine_coded.latents), theirs["x_hat"])
    assert machine_coded.bits.item() == pytest.approx(theirs["bits_y"] + theirs["bits_z"], rel=1e-5)
    assert sum(parameter.numel() for parameter in machine.parameters()) == theirs["params"]


@pytest.mark.parametrize("m", [1, 4])
def test_enhancement_agrees_with_the_authors(m: int, machine_coded: Estimate, expected: Any) -> None:
    machine_latents = machine_coded.latents
    theirs = expected["enhancement"][f"m={m}"]
    layer = with_generated_weights(paper_enhancement_layer(replace(PAPER, m=m)))
    estimated = coded(layer, layer.latents(layer.analysis(generated_pixels()), machine_latents))
    untouched = machine_latents.clone()
    agree(layer.picture(machine_latents, estimated.latents), theirs["x_hat"])
    assert torch.equal(machine_latents, untouched)
    assert estimated.bits.item() == pytest.approx(theirs["bits_y"] + theirs["bits_z"], rel=1e-5)
