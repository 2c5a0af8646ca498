from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models import load_codec
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise
from shared_models.weights import SHIPPED
from tests.shared_models.training.conftest import annotated


@pytest.fixture
def run():  # type: ignore[no-untyped-def]
    def call(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_a_picture_goes_through_files_and_comes_back(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = pink_noise(70, 90)
    Image.fromarray(source).save(tmp_path / "a.png")
    assert "bit/pixel" in run("encode", tmp_path / "a.png", "--quality", 3)
    machine, enhancement = tmp_path / "a.machine", tmp_path / "a.enhancement"
    run("decode", machine, tmp_path / "machine.png")
    run("decode", machine, tmp_path / "human.png", "--enhancement", enhancement)
    run("decode", machine, tmp_path / "one.png", "--enhancement", enhancement, "--slices", 1)
    closeness = [
        psnr(source, np.asarray(Image.open(tmp_path / f"{name}.png"))) for name in ("machine", "one", "human")
    ]
    assert closeness == sorted(closeness)


def test_wrong_bytes_are_one_line_and_exit_code_1(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.machine").write_bytes(b"JFIF, say")
    output = run("decode", tmp_path / "a.machine", tmp_path / "a.png", code=1)
    assert "no Secondsight bitstream" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "command",
    [
        "train machine --photos . --masks . --out out",
        "models export --machine m --enhancement e --out out",
        "models export-comparison m --out out",
    ],
)
def test_an_unknown_profile_is_one_line_and_exit_code_2(run, command: str) -> None:  # type: ignore[no-untyped-def]
    output = run(*command.split(), "--profile", "heavy", code=2)
    assert "there is no profile 'heavy'; known: lite, paper" in output


def test_models_tells_what_the_edge_has_to_compute(run) -> None:  # type: ignore[no-untyped-def]
    output = run("models")
    assert "lite" in output
    assert "kMAC/pixel" in output


def test_rate_and_distortion_are_written_to_a_file(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(pink_noise(64, 96)).save(photos / "a.png")
    run("eval", "rd", photos, "--no-peers", "--out", tmp_path / "rd.json")
    figures = json.loads((tmp_path / "rd.json").read_text())
    assert figures["photos"] == 1
    assert [curve["name"] for curve in figures["curves"]][:2] == ["machine layer", "both layers"]


def test_models_and_bench_tell_what_predicted_frames_cost(  # type: ignore[no-untyped-def]
    run, tmp_path: Path, predicting_weights: Path
) -> None:
    output = run("models", "--weights", predicting_weights)
    for name in ("predicted.machine", "predicted.enhancement", "encode"):
        assert name in output
    out = tmp_path / "bench.json"
    size = ("--width", 128, "--height", 96)
    common = ("--weights", predicting_weights, *size, "--repeats", 1, "--threads", 1, "--no-peers")
    assert "over that of a key frame" in run("bench", "codec", *common, "--out", out)
    figures = json.loads(out.read_text())
    key, predicted = figures["operations"][0], figures["operations"][3]
    assert predicted["timing"]["name"].startswith("encode, predicted")
    assert predicted["timing"]["size"] < key["timing"]["size"]
    assert figures["predicted_over_key"] == pytest.approx(
        predicted["timing"]["median_ms"] / key["timing"]["median_ms"]
    )
    later = tmp_path / "later.png"
    Image.fromarray(pink_noise(96, 128)).save(later)
    run("bench", "codec", *common, "--picture", later, "--later", later, "--out", out)
    still = json.loads(out.read_text())["operations"][3]["timing"]
    assert still["name"] == "encode, predicted, 0% changed"


def test_predicted_frames_are_trained_and_join_the_weights(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        Image.fromarray(pink_noise(80, 80, number)).save(photos / f"{number}.png")
    common = ("--photos", photos, "--annotations", annotated(photos), "--steps", 1)
    small = ("--set", "batch=1", "--set", "crop=64")
    for layer in ("machine", "enhancement"):
        run("train", f"predicted-{layer}", *common, *small, "--out", tmp_path / layer)
    shipped, joined = SHIPPED / "lite.safetensors", tmp_path / "joined.safetensors"
    half = ("models", "export", "--weights", shipped, "--predicted-machine", tmp_path / "machine")
    run(*half, "--predicted-enhancement", tmp_path / "enhancement", "--out", joined)
    assert load_codec("lite", weights=joined, device="cpu").predicts
    run(*half, "--out", joined, code=2)
    run("models", "export", "--weights", shipped, "--out", joined, code=2)
    swapped = ("--predicted-enhancement", tmp_path / "machine")
    assert "name one of predicted-enhancement" in run(*half, *swapped, "--out", joined, code=1)
    masks = tmp_path / "masks"
    masks.mkdir()
    for photo in photos.iterdir():
        Image.fromarray(np.eye(80, dtype=np.uint8) * 255).convert("1").save(masks / photo.name)
    alone = ("--photos", photos, "--masks", masks, "--steps", 1, *small)
    run("train", "machine", *alone, "--out", tmp_path / "new")
    new = ("--machine", tmp_path / "new", "--out", tmp_path / "new.safetensors")
    assert "train new ones" in run("models", "export", *new, "--weights", joined)
    assert not load_codec("lite", weights=tmp_path / "new.safetensors", device="cpu").predicts


def test_bench_prints_stages_and_ratios_to_named_peers(run) -> None:  # type: ignore[no-untyped-def]
    output = run("bench", "codec", "--width", 128, "--height", 96, "--repeats", 2, "--threads", 1)
    for name in (
        "kMAC",
        "machine analysis",
        "human synthesis",
        "WebP",
        "libvvenc",
        "x265",
    ):
        assert name in output


def test_training_goes_from_photos_to_a_weights_file(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    for folder in (photos, masks):
        folder.mkdir()
    for number in range(3):
        Image.fromarray(pink_noise(80, 80, number)).save(photos / f"{number}.png")
        Image.fromarray(np.eye(80, dtype=np.uint8) * 255).convert("1").save(masks / f"{number}.png")
    common = ("--photos", photos, "--steps", 2, "--set", "batch=1", "--set", "crop=64")
    run("train", "machine", *common, "--masks", masks, "--out", tmp_path / "m")
    run("train", "enhancement", *common, "--machine", tmp_path / "m", "--out", tmp_path / "e")
    weights = tmp_path / "own.safetensors"
    run("models", "export", "--machine", tmp_path / "m", "--enhancement", tmp_path / "e", "--out", weights)
    assert "lite" in run("models", "--weights", weights)
    run(
        "models",
        "export",
        "--machine",
        tmp_path / "m",
        "--weights",
        weights,
        "--out",
        tmp_path / "w.safetensors",
    )
    for task, machine in (("human", ()), ("difference", ("--machine", tmp_path / "m"))):
        run("train", task, *common, *machine, "--out", tmp_path / task)
        run("models", "export-comparison", tmp_path / task, "--out", tmp_path)
        assert (tmp_path / f"{task}.safetensors").is_file()
    run("train", "enhancement", *common, "--weights", weights, "--out", tmp_path / "further")
    run("train", "enhancement", *common, "--out", tmp_path / "nothing", code=2)


@pytest.mark.parametrize("switch", ["condition_on_machine", "residual"])
def test_the_departures_from_the_paper_can_be_switched_off(run, tmp_path: Path, switch: str) -> None:  # type: ignore[no-untyped-def]
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(pink_noise(80, 80)).save(photos / "a.png")
    shipped = SHIPPED / "lite.safetensors"
    common = ("--photos", photos, "--steps", 1, "--set", "batch=1", "--set", "crop=64")
    run("train", "machine", *common, "--masks", photos, "--out", tmp_path / "m")
    off = ("--set", f"{switch}=false")
    run("train", "enhancement", *common, *off, "--machine", tmp_path / "m", "--out", tmp_path / "e")
    weights = tmp_path / "own.safetensors"
    run("models", "export", "--machine", tmp_path / "m", "--enhancement", tmp_path / "e", "--out", weights)
    codec = load_codec("lite", weights=weights, device="cpu")
    assert codec.config.switches != load_codec("lite", weights=shipped, device="cpu").config.switches
    image = pink_noise(64, 64)
    frame = codec.encode(image)
    assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape
