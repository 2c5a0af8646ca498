"""Weights files from the authors' checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from shared_models import Codec
from shared_models.command.models import app
from shared_models.errors import WeightsError
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import enhancement_layer, machine_layer
from shared_models.tcm.imported import imported
from shared_models.tcm.profile import enhancement_parameters
from tests.shared_models.tcm.authors import generated_state
from tests.shared_models.tcm.sizes import TINY, scaled_weights


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    torch.save({"state_dict": generated_state(machine_layer(TINY))}, tmp_path / "icm.pth")
    return tmp_path / "icm.pth"


@pytest.fixture
def enhancement(tmp_path: Path) -> Path:
    torch.save(generated_state(enhancement_layer(replace(TINY, m=2))), tmp_path / "ica.pth")
    return tmp_path / "ica.pth"


def test_both_layers_become_a_codec(machine: Path, enhancement: Path) -> None:
    weights = imported([enhancement, machine], TINY, None)
    assert weights.config.enhancement_slices == 2
    assert weights.model_id == imported([machine, enhancement], TINY, None).model_id
    codec = Codec(weights, device="cpu")
    image = pink_noise(40, 56)
    frame = codec.encode(image)
    assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape


def test_of_two_whole_ones_the_machine_layer_comes_first(machine: Path, tmp_path: Path) -> None:
    other = tmp_path / "ica5.pth"
    state = generated_state(enhancement_layer(replace(TINY, m=5)))
    state["g_a.0.conv1.bias"] = state["g_a.0.conv1.bias"] + 1.0
    torch.save(state, other)
    weights = imported([machine, other], TINY, None)
    assert weights.config.enhancement_slices == 5
    assert torch.equal(
        weights.enhancement.get_parameter("analysis.net.0.conv1.bias"), state["g_a.0.conv1.bias"]
    )


def test_one_layer_goes_beside_that_of_a_weights_file(machine: Path, enhancement: Path) -> None:
    beside = scaled_weights(TINY)
    with_machine = imported([machine], TINY, beside)
    assert with_machine.config.enhancement_slices == 3
    with_enhancement = imported([enhancement], TINY, beside)
    assert with_enhancement.config.enhancement_slices == 2
    assert len({beside.model_id, with_machine.model_id, with_enhancement.model_id}) == 3


def test_what_makes_no_model_is_refused(machine: Path, enhancement: Path) -> None:
    with pytest.raises(WeightsError, match="enhancement layer is missing"):
        imported([machine], TINY, None)
    with pytest.raises(WeightsError, match="machine layer is missing"):
        imported([enhancement], TINY, None)
    with pytest.raises(WeightsError, match=r"not .*ica\.pth \(2 slices\), .*ica\.pth \(2 slices\)"):
        imported([enhancement, enhancement], TINY, None)


def test_the_commands_import_and_show(
    machine: Path, enhancement: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_models.command.models.PAPER", TINY)
    shown = CliRunner().invoke(app, [])
    assert shown.exit_code == 0, shown.output
    for parameters in enhancement_parameters(TINY).values():
        assert f"{parameters:,}" in shown.output
    out = tmp_path / "paper.safetensors"
    result = CliRunner().invoke(app, ["import", str(machine), str(enhancement), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "m = 2" in result.output and out.is_file()
