from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from shared_models import Codec
from shared_models.errors import ImageError
from shared_models.evaluation.peers import JPEG, PEERS
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.rate_distortion import Curve, Point, layered, peer, photos_of
from shared_models.evaluation.speed import pink_noise, timed


def curve(*points: tuple[float, float]) -> Curve:
    return Curve("test", tuple(Point("", rate, quality) for rate, quality in points))


def test_psnr_is_its_definition() -> None:
    source = np.zeros((4, 4, 3), np.uint8)
    assert psnr(source, source + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(source, source) == math.inf


def test_the_delta_rate_of_half_the_bits_is_minus_fifty_percent() -> None:
    anchor = curve((0.2, 28.0), (0.4, 31.0), (0.8, 34.0), (1.6, 37.0))
    ours = curve((0.1, 28.0), (0.2, 31.0), (0.4, 34.0), (0.8, 37.0))
    assert ours.bd_rate_against(anchor) == pytest.approx(-50.0, abs=0.1)
    assert anchor.bd_rate_against(ours) == pytest.approx(100.0, abs=0.3)


def test_rates_count_the_bytes_of_both_layers(codec: Codec) -> None:
    photo = pink_noise(64, 96)
    advanced: list[None] = []
    measured = layered(codec, [photo], lambda: advanced.append(None))
    frame = codec.encode(photo, quality=3)
    whole = measured.both.points[-1]
    assert whole.setting == "quality 3"
    assert whole.bits_per_pixel == pytest.approx(8 * len(frame.machine + frame.enhancement) / (64 * 96))
    assert whole.psnr_db == pytest.approx(psnr(photo, codec.decode_human(frame.machine, frame.enhancement)))
    assert [len(c.points) for c in (measured.machine, measured.both, measured.slices)] == [4, 4, 5]
    assert len(advanced) == 1


@pytest.mark.parametrize("other", PEERS, ids=lambda other: other.format)
def test_a_peer_has_a_rising_curve(other: object) -> None:
    measured = peer(other, [pink_noise(64, 96)], lambda: None)  # type: ignore[arg-type]
    qualities = [point.psnr_db for point in measured.points]
    assert qualities == sorted(qualities)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no photo"):
        photos_of(tmp_path)


def test_on_kodak_both_layers_need_fewer_bits_than_jpeg(codec: Codec, data_root: Path) -> None:
    photos = [photo[128:384, 128:384] for photo in photos_of(data_root / "kodak")[::4]]
    measured = layered(codec, photos, lambda: None)
    assert measured.both.bd_rate_against(peer(JPEG, photos, lambda: None)) < 0.0
    default = measured.machine.points[codec.config.default_machine_quality]
    assert default.bits_per_pixel < min(measured.enhancement_bits_per_pixel[1:])


def test_timings_are_of_the_call_alone() -> None:
    calls: list[None] = []
    timing = timed("x", 5, lambda: calls.append(None), size=7)
    assert len(calls) == 6
    assert 0 < timing.best_ms <= timing.median_ms
