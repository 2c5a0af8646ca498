"""Training of the profile paper, through the commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from shared_models import Codec, config
from shared_models.command.models import app as models
from shared_models.command.train import app as train
from shared_models.comparison_weights import ComparisonWeights
from shared_models.config import PAPER
from shared_models.evaluation.comparison import DifferencePeer, SingleLayerCodec, SingleLayerPeer
from shared_models.evaluation.speed import pink_noise
from shared_models.training.machine import MachineTask
from shared_models.training.photos import Crops
from shared_models.training.recipe import Recipe
from shared_models.training.task import Randomness
from shared_models.weights import Weights
from tests.shared_models.tcm.sizes import TINY

RUN = ["--profile", "paper", "--steps", "2", "--set", "batch=1", "--set", "crop=64", "--device", "cpu"]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two photos and their masks."""
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    masks.mkdir()
    for number in range(2):
        Image.fromarray(pink_noise(70, 80, seed=number)).save(photos / f"{number}.png")
        Image.fromarray(np.full((70, 80), 255, np.uint8)).convert("1").save(masks / f"{number}.png")
    return photos, masks


def run(app: object, *arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output


def test_all_four_models_train_and_become_codecs(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(config.PROFILES, "paper", TINY)
    photos, masks = folders
    run(train, "machine", "--photos", photos, "--masks", masks, "--out", tmp_path / "m", *RUN)
    beside = ["--photos", photos, "--machine", tmp_path / "m"]
    run(train, "enhancement", *beside, "--out", tmp_path / "e", *RUN, "--set", "slices=2")
    run(train, "difference", *beside, "--out", tmp_path / "difference", *RUN)
    run(train, "human", "--photos", photos, "--out", tmp_path / "human", *RUN)
    file = tmp_path / "paper.safetensors"
    run(models, "export", "--machine", tmp_path / "m", "--enhancement", tmp_path / "e", "--profile", "paper",
        "--out", file)  # fmt: skip
    weights = Weights.load(file)
    assert weights.config.enhancement_slices == 2
    codec = Codec(weights, device="cpu")
    image = pink_noise(48, 64)
    frame = codec.encode(image)
    assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape
    comparisons = []
    for task in ("human", "difference"):
        run(models, "export-comparison", tmp_path / task, "--profile", "paper", "--out", tmp_path)
        comparisons.append(SingleLayerCodec(ComparisonWeights.load(tmp_path / f"{task}.safetensors")))
    for peer in (SingleLayerPeer(comparisons[0]), DifferencePeer(codec, comparisons[1])):
        assert peer.decode(peer.encode(image, 0)).shape == image.shape


def test_steps_at_full_width_lower_the_loss() -> None:
    torch.manual_seed(1)
    recipe = replace(Recipe.shipped("machine", "paper"), batch=1, crop=64)
    task = MachineTask(PAPER, recipe)
    optimizer = torch.optim.Adam(task.module.parameters(), lr=1e-4)
    pixels = torch.from_numpy(pink_noise(64, 64)).permute(2, 0, 1)[None] / 255.0
    losses = []
    for step in range(2):
        outcome = task.outcome(
            Crops(pixels, torch.ones(1, 1, 64, 64)), Randomness.of_step(1, step, torch.device("cpu"))
        )
        optimizer.zero_grad(set_to_none=True)
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(outcome.loss.item())
    untouched = {name for name, parameter in task.module.named_parameters() if parameter.grad is None}
    assert untouched == {"entropy.hyper_distribution.quantiles"}
    assert losses[-1] < losses[0]
