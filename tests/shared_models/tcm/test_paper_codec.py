"""The profile paper as a codec."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared_models import Codec, EncodedFrame, Layer, errors, load_codec
from shared_models.bitstream import Bitstream
from shared_models.config import PAPER
from shared_models.entropy_model import Level
from shared_models.environment import Environment
from shared_models.evaluation.speed import pink_noise
from shared_models.picture import pixels_of
from shared_models.tcm.entropy import MixedEntropyModel
from shared_models.training.estimate import estimate
from shared_models.weights import Weights
from tests.shared_models.tcm.sizes import TINY, scaled_weights

HEADER_BYTES = 40
SEGMENT_HEADER_BYTES = 12


def estimated_bits(weights: Weights, image: np.ndarray) -> tuple[float, float]:
    """Of the machine layer and of the enhancement layer."""
    level = Level(torch.tensor([0]), torch.tensor([0]))
    machine, enhancement = weights.machine.eval(), weights.enhancement.eval()
    with torch.inference_mode():
        pixels = pixels_of(image, weights.config.stride, torch.device("cpu"))
        slices = weights.config.slices
        coded = estimate(machine.entropy, machine.analysis(pixels), level, None, slices, None)
        y = enhancement.latents(enhancement.analysis(pixels), coded.latents)
        added = estimate(enhancement.entropy, y, level, None, weights.config.m, None)
    return coded.bits.item(), added.bits.item()


def payload_bits(stream: bytes, layer: Layer) -> int:
    segments = Bitstream.parsed(stream, layer).segments
    return 8 * (len(stream) - HEADER_BYTES - SEGMENT_HEADER_BYTES * len(segments))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return pink_noise(65, 130)


@pytest.fixture(scope="module")
def frame(tiny_codec: Codec, image: np.ndarray) -> EncodedFrame:
    return tiny_codec.encode(image)


@pytest.mark.parametrize("size", [(16, 16), (65, 130), (17, 300), (128, 128)])
def test_any_frame_size_comes_back(tiny_codec: Codec, size: tuple[int, int]) -> None:
    image = pink_noise(*size)
    frame = tiny_codec.encode(image)
    assert tiny_codec.decode_machine(frame.machine).shape == image.shape
    assert tiny_codec.decode_human(frame.machine, frame.enhancement).shape == image.shape


def test_another_process_decodes(
    tiny_codec: Codec, tiny_weights: Path, image: np.ndarray, frame: EncodedFrame, tmp_path: Path
) -> None:
    for name, data in (("machine", frame.machine), ("enhancement", frame.enhancement)):
        (tmp_path / name).write_bytes(data)
    program = f"""
import numpy as np, torch
from pathlib import Path
from unittest.mock import patch
from shared_models import config, load_codec
from tests.shared_models.tcm.sizes import TINY
torch.backends.mkldnn.enabled = False
folder = Path({str(tmp_path)!r})
with patch.dict(config.PROFILES, paper=TINY):
    codec = load_codec("paper", weights=Path({str(tiny_weights)!r}), m=3, device="cpu", dtype=torch.float32)
machine, enhancement = ((folder / name).read_bytes() for name in ("machine", "enhancement"))
np.savez(folder / "views", codec.decode_machine(machine), codec.decode_human(machine, enhancement))
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=root)
    views = np.load(tmp_path / "views.npz")
    ours = (
        tiny_codec.decode_machine(frame.machine),
        tiny_codec.decode_human(frame.machine, frame.enhancement),
    )
    for view, other in zip(ours, views.values(), strict=True):
        assert np.abs(view.astype(int) - other).max() <= 1


def test_encoding_leaves_the_image_alone_and_repeats_itself(
    tiny_codec: Codec, image: np.ndarray, frame: EncodedFrame
) -> None:
    untouched = image.copy()
    assert tiny_codec.encode(image) == frame
    assert np.array_equal(image, untouched)


def test_fewer_slices_than_m_are_a_prefix(tiny_codec: Codec, frame: EncodedFrame, image: np.ndarray) -> None:
    for count in (1, 2, 3):
        cut = tiny_codec.cut(frame.enhancement, count)
        whole = tiny_codec.decode_human(frame.machine, frame.enhancement, slices=count)
        assert np.array_equal(tiny_codec.decode_human(frame.machine, cut), whole)
    assert (
        len(Bitstream.parsed(tiny_codec.encode(image, slices=2).enhancement, Layer.ENHANCEMENT).segments) == 2
    )
    with pytest.raises(errors.SlicesError, match="1 to 3"):
        tiny_codec.encode(image, slices=4)
    with pytest.raises(errors.QualityError):
        tiny_codec.encode(image, quality=1)


def test_a_photo_costs_what_is_estimated(tiny_codec: Codec, data_root: Path) -> None:
    photo = np.asarray(Image.open(data_root / "kodak" / "kodim23.png").convert("RGB"))
    frame = tiny_codec.encode(photo)
    machine, enhancement = estimated_bits(scaled_weights(TINY), photo)
    assert payload_bits(frame.machine, Layer.MACHINE) == pytest.approx(machine, rel=0.01)
    assert payload_bits(frame.enhancement, Layer.ENHANCEMENT) == pytest.approx(enhancement, rel=0.01)


def test_all_of_the_width_the_paper_has() -> None:
    image = pink_noise(64, 64)
    weights = scaled_weights(replace(PAPER, m=1))
    machine, enhancement = estimated_bits(weights, image)
    codec = Codec(weights, device="cpu")
    frame = codec.encode(image)
    assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape
    assert payload_bits(frame.machine, Layer.MACHINE) == pytest.approx(machine, rel=0.01, abs=64)
    assert payload_bits(frame.enhancement, Layer.ENHANCEMENT) == pytest.approx(enhancement, rel=0.02, abs=256)


def test_transforms_in_another_dtype_decode_the_same_integers(frame: EncodedFrame, image: np.ndarray) -> None:
    other = Codec(scaled_weights(TINY), device="cpu", dtype=torch.bfloat16)
    view = other.decode_human(frame.machine, frame.enhancement)
    assert (
        np.abs(
            view.astype(int) - Codec(scaled_weights(TINY), "cpu").decode_human(*vars(frame).values())
        ).max()
        < 8
    )
    assert other.decode_machine(other.encode(image).machine).shape == image.shape


class _Elsewhere:
    """Makes an entropy model compute as another device would, by relative errors of a given size."""

    def __init__(self, codec: Codec, error: float) -> None:
        self.codec = codec
        self.error = error

    def __enter__(self) -> Codec:
        generator = torch.Generator().manual_seed(1)
        entropy = self.codec.layers["machine"].entropy
        assert isinstance(entropy, MixedEntropyModel)

        def off(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
            return output * (
                1.0 + self.error * torch.randn(output.shape, generator=generator, dtype=output.dtype)
            )

        self.hooks = [
            part.register_forward_hook(off) for part in entropy.modules() if isinstance(part, torch.nn.Conv2d)
        ]
        return self.codec

    def __exit__(self, *reason: object) -> None:
        for hook in self.hooks:
            hook.remove()


def test_what_devices_differ_by_in_float64_does_not_matter(tiny_codec: Codec) -> None:
    image = pink_noise(128, 192)
    with _Elsewhere(tiny_codec, 1e-14):
        frame = tiny_codec.encode(image)
    assert tiny_codec.decode_machine(frame.machine).shape == image.shape


def test_a_mismatch_names_both_environments(tiny_codec: Codec) -> None:
    image = pink_noise(128, 192)
    with _Elsewhere(tiny_codec, 1e-3):
        frame = tiny_codec.encode(image)
    here = str(Environment.of(torch.device("cpu")))
    with pytest.raises(errors.DesynchronisedError, match=rf"coded on {here} and decoded on {here}"):
        tiny_codec.decode_machine(frame.machine)
    stream = Bitstream.parsed(frame.machine, Layer.MACHINE)
    gpu = Environment("cuda", 9, (2, 14))
    elsewhere = replace(stream, header=replace(stream.header, environment=gpu.packed()))
    with pytest.raises(
        errors.DesynchronisedError, match=r"coded on cuda/9 with torch 2\.14 and decoded on cpu"
    ):
        tiny_codec.decode_machine(elsewhere.packed())


def test_an_exact_profile_has_no_environment() -> None:
    codec = load_codec("lite", device="cpu")
    stream = Bitstream.parsed(codec.encode(pink_noise(32, 32)).machine, Layer.MACHINE)
    assert stream.header.environment == 0
    forged = replace(stream, header=replace(stream.header, environment=5)).packed()
    with pytest.raises(errors.CorruptError, match="environment"):
        codec.decode_machine(forged)


def test_weights_of_another_m_are_refused(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules["shared_models.config"].PROFILES, "paper", TINY)
    assert load_codec("paper", weights=tiny_weights, m=3, device="cpu").config.m == 3
    with pytest.raises(errors.WeightsError, match="3 slices, not of m=4"):
        load_codec("paper", weights=tiny_weights, m=4, device="cpu")


def test_no_weights_are_shipped() -> None:
    with pytest.raises(errors.WeightsError, match=r"models import.*train --profile paper"):
        load_codec("paper")


def test_m_makes_another_model(tiny_weights: Path) -> None:
    three, two = scaled_weights(TINY), scaled_weights(replace(TINY, m=2))
    assert three.model_id != two.model_id
    assert three.model_id == scaled_weights(TINY).model_id
