from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models import Codec, load_codec
from shared_models.blocks import DepthwiseBlock
from shared_models.complexity import kilo_macs_per_pixel
from shared_models.eight_bit import AnalysisRanges, EightBitBlocks, Ranges, measured_ranges
from shared_models.errors import WeightsError
from shared_models.evaluation.speed import pink_noise
from shared_models.weights import Weights, shipped_weights
from tests.shared_models.arithmetic import needs_bytes

WIDTH = 16


@pytest.fixture
def blocks() -> nn.Sequential:
    torch.manual_seed(5)
    blocks = nn.Sequential(*(DepthwiseBlock(WIDTH) for _ in range(2)))
    for parameter in blocks.parameters():
        nn.init.normal_(parameter, std=0.2)
    return blocks.requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(6)
    return torch.randn(2, WIDTH, 9, 13).to(memory_format=torch.channels_last)


def in_floats(blocks: nn.Sequential, x: Tensor, ranges: Ranges) -> Tensor:
    """The same rounding, in float64."""

    def convolved(x: Tensor, convolution: nn.Conv2d, bounds: Tensor) -> Tensor:
        low, high = (bounds.view(-1, 2)[:, side].view(-1, 1, 1) for side in (0, 1))
        scale = (high.clamp_min(0.0) - low.clamp_max(0.0)) / 255
        zero = (-low.clamp_max(0.0) / scale).round()
        told = ((x / scale).round() + zero).clamp(0, 255).sub(zero)
        # Scales that channels have of their own are rounded with the weights.
        weight = convolution.weight.double() * scale
        unit = weight.abs().amax((1, 2, 3), keepdim=True) / 127
        assert convolution.bias is not None
        padding = convolution.kernel_size[0] // 2
        return F.conv2d(
            told,
            (weight / unit).round() * unit,
            convolution.bias.double(),
            padding=padding,
            groups=convolution.groups,
        )

    stream, inner = iter(ranges.stream.double()), iter(ranges.inner.double())
    x = x.double()
    for block in blocks:
        assert isinstance(block, DepthwiseBlock)
        enter, _, spread, leave = block.spatial
        widen, _, narrow = block.channel
        entered = F.leaky_relu(convolved(x, enter, next(stream)), 0.1)
        x = x + convolved(convolved(entered, spread, next(inner)), leave, next(inner))
        widened = F.leaky_relu(convolved(x, widen, next(stream)), 0.1)
        x = x + convolved(widened, narrow, next(inner))
    return x


@needs_bytes
def test_blocks_compute_what_rounding_to_bytes_says(blocks: nn.Sequential, x: Tensor) -> None:
    ranges = measured_ranges(blocks, [x.clone()])
    expected = in_floats(blocks, x, ranges)
    exact = blocks.double()(x.double().clone())
    got = EightBitBlocks(blocks.float(), ranges)(x.clone(memory_format=torch.preserve_format))
    # A value that falls between two bytes may go either way.
    assert float((got - expected).abs().median()) < 1e-5
    assert float((got - expected).norm()) < 0.1 * float((expected - exact).norm())
    assert float((expected - exact).norm() / exact.norm()) < 0.02


@needs_bytes
def test_frames_of_a_batch_and_their_memory_make_no_difference(blocks: nn.Sequential, x: Tensor) -> None:
    eight = EightBitBlocks(blocks, measured_ranges(blocks, [x.clone()]))
    together = eight(x.clone(memory_format=torch.preserve_format))
    alone = torch.cat([eight(frame[None].contiguous()) for frame in x])
    assert torch.equal(together, alone)


@needs_bytes
def test_the_smallest_picture_is_computed_as_well(blocks: nn.Sequential, x: Tensor) -> None:
    ranges = measured_ranges(blocks, [x.clone()])
    smallest = x[:1, :, :2, :2]
    expected = in_floats(blocks, smallest, ranges)
    got = EightBitBlocks(blocks, ranges)(smallest.clone(memory_format=torch.preserve_format))
    torch.testing.assert_close(got.double(), expected, rtol=0.0, atol=0.05)


def test_every_channel_has_a_range_of_its_own_that_leaves_out_what_is_rare(blocks: nn.Sequential) -> None:
    x = torch.rand(1, WIDTH, 64, 64) - 0.5
    x[:, 1] *= 10.0
    x[:, 2] = torch.randn(64, 64) ** 5
    measured = measured_ranges(blocks, [x.clone()])
    assert (measured.stream.shape, measured.inner.shape) == ((4, WIDTH, 2), (6, 2))
    even, tenfold, tailed = measured.stream[0, :3]
    assert even.tolist() == pytest.approx([-0.5, 0.5], abs=0.05)
    assert tenfold.tolist() == pytest.approx([-5.0, 5.0], abs=0.5)
    assert 0.1 < float(tailed[1] / x[:, 2].max()) < 0.9


@pytest.mark.parametrize("more", [1, -1])
def test_ranges_of_other_blocks_are_refused(blocks: nn.Sequential, x: Tensor, more: int) -> None:
    ranges = measured_ranges(blocks, [x.clone()])
    stream = ranges.stream[:more] if more < 0 else torch.cat((ranges.stream, ranges.stream[:more]))
    with pytest.raises(ValueError, match=r"not \(4, 16, 2\) and \(6, 2\)"):
        EightBitBlocks(blocks, Ranges(stream, ranges.inner))


def test_a_range_that_ends_before_it_begins_is_refused(blocks: nn.Sequential, x: Tensor) -> None:
    ranges = measured_ranges(blocks, [x.clone()])
    with pytest.raises(ValueError, match="ends before it begins"):
        EightBitBlocks(blocks, Ranges(ranges.stream.flip(2), ranges.inner))


@pytest.fixture(scope="session")
def eight_bit_codec() -> Codec:
    return load_codec("lite", device="cpu", eight_bit=True)


@needs_bytes
def test_the_shipped_codec_needs_hardly_more_bits(codec: Codec, eight_bit_codec: Codec) -> None:
    assert (codec.eight_bit, eight_bit_codec.eight_bit) == (False, True)
    image = pink_noise(192, 256)

    def measured(codec: Codec) -> tuple[int, float]:
        frame = codec.encode(image)
        view = codec.decode_human(frame.machine, frame.enhancement)
        error = np.square(view.astype(float) - image).mean()
        return len(frame.machine) + len(frame.enhancement), float(10 * np.log10(255**2 / error))

    size, psnr = measured(codec)
    eight_size, eight_psnr = measured(eight_bit_codec)
    assert eight_size == pytest.approx(size, rel=0.02)
    assert eight_psnr == pytest.approx(psnr, abs=0.1)


@needs_bytes
def test_multiplications_in_8_bits_count(codec: Codec, eight_bit_codec: Codec) -> None:
    assert kilo_macs_per_pixel(eight_bit_codec, 64) == kilo_macs_per_pixel(codec, 64)


def test_ranges_are_no_part_of_the_model(tmp_path: Path) -> None:
    weights = Weights.load(shipped_weights("lite"))
    assert weights.ranges is not None
    without = replace(weights, ranges=None)
    assert (without.model_id, without.predicting_id) == (weights.model_id, weights.predicting_id)
    without.save(tmp_path / "without.safetensors")
    assert Weights.load(tmp_path / "without.safetensors").ranges is None
    assert not load_codec(weights=tmp_path / "without.safetensors", device="cpu", eight_bit=True).eight_bit


@needs_bytes
def test_weights_that_were_measured_for_other_analyses_are_refused(tmp_path: Path) -> None:
    weights = Weights.load(shipped_weights("lite"))
    assert weights.ranges is not None
    swapped = AnalysisRanges(weights.ranges.enhancement, weights.ranges.machine)
    replace(weights, ranges=swapped).save(tmp_path / "swapped.safetensors")
    with pytest.raises(WeightsError, match="measured for other analyses: ranges"):
        load_codec(weights=tmp_path / "swapped.safetensors", device="cpu", eight_bit=True)


@needs_bytes
def test_calibrate_measures_weights_that_have_no_ranges(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    weights, out = tmp_path / "plain.safetensors", tmp_path / "measured.safetensors"
    replace(Weights.load(shipped_weights("lite")), ranges=None).save(weights)
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        Image.fromarray(pink_noise(96, 128, seed)).save(tmp_path / "photos" / f"{seed}.png")
    called = CliRunner().invoke(
        app,
        ["models", "calibrate", str(tmp_path / "photos"), "--weights", str(weights), "--out", str(out)],
    )
    assert called.exit_code == 0, called.output
    assert "model ce2fc3384c11640d, measured on 3 photos" in called.output
    measured = load_codec(weights=out, device="cpu", eight_bit=True)
    assert measured.eight_bit
    frame = measured.encode(picture)
    assert np.array_equal(
        measured.decode_machine(frame.machine), load_codec(device="cpu").decode_machine(frame.machine)
    )
