from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared_models import Codec
from shared_models.errors import ImageError
from shared_models.evaluation.peers import AVIF, JPEG, WEBP, PillowPeer
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.rate_distortion import (
    BOTH,
    ENHANCEMENT,
    MACHINE,
    SLICES,
    Curve,
    Figures,
    Measured,
    Photo,
    Point,
    Series,
    bd_rates,
    by_photo,
    coded_by,
    curves_of,
    layered,
    photos_of,
    side_by_side,
)
from shared_models.evaluation.speed import pink_noise

ANCHOR = ((0.2, 28.0), (0.4, 31.0), (0.8, 34.0), (1.6, 37.0))


def curve(*points: tuple[float, float], name: str = "test") -> Curve:
    series = Series(name, "peer", "all")
    return Curve(series, tuple(Point("", Figures(rate, quality, None)) for rate, quality in points))


@pytest.fixture(scope="module")
def photo() -> Photo:
    return Photo("a.png", pink_noise(64, 96))


@pytest.fixture(scope="module")
def curves(codec: Codec, photo: Photo) -> dict[str, Curve]:
    return {one.name: one for one in curves_of(layered(codec, photo))}


def test_the_delta_rate_of_half_the_bits_is_minus_fifty_percent() -> None:
    anchor = curve(*ANCHOR)
    ours = curve(*((rate / 2, quality) for rate, quality in ANCHOR))
    assert ours.bd_rate_against(anchor) == pytest.approx(-50.0, abs=0.1)
    assert anchor.bd_rate_against(ours) == pytest.approx(100.0, abs=0.3)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([(rate, quality - 9.0) for rate, quality in ANCHOR], id="just below"),
        pytest.param(ANCHOR[:3], id="three points"),
        pytest.param([*ANCHOR, (2.0, 36.9)], id="falls"),
    ],
)
def test_where_a_delta_rate_means_nothing_there_is_none(other: list[tuple[float, float]]) -> None:
    assert curve(*other).bd_rate_against(curve(*ANCHOR)) is None
    assert curve(*ANCHOR).bd_rate_against(curve(*other)) is None


def test_delta_rates_are_by_anchor_and_never_of_a_curve_against_itself() -> None:
    one, other = curve(*ANCHOR, name="one"), curve((0.1, 20.0), name="other")
    assert bd_rates([one, other], [one]) == {"one": {"other": None}}


def test_rates_count_the_bytes_that_they_say(codec: Codec, photo: Photo, curves: dict[str, Curve]) -> None:
    frame = codec.encode(photo.pixels, quality=3)
    expected = psnr(photo.pixels, codec.decode_human(frame.machine, frame.enhancement))
    for name, data in ((BOTH, frame.machine + frame.enhancement), (ENHANCEMENT, frame.enhancement)):
        whole = curves[name].points[-1]
        assert whole.setting == "quality 3"
        assert whole.figures.bits_per_pixel == pytest.approx(8 * len(data) / (64 * 96))
        assert whole.figures.psnr_db == pytest.approx(expected)
        assert whole.figures.ms_ssim_db is None


def test_every_quality_stands_on_every_machine_level_and_is_cut_everywhere(
    codec: Codec, curves: dict[str, Curve]
) -> None:
    config = codec.config
    assert list(curves)[:4] == [MACHINE, BOTH, ENHANCEMENT, SLICES]
    assert len(curves[MACHINE].points) == config.machine.levels
    for level in range(config.machine.levels):
        for name in (BOTH, ENHANCEMENT):
            assert len(curves[f"{name}, machine level {level}"].points) == config.enhancement.levels
    for quality in range(config.enhancement.levels):
        cut = curves[f"{BOTH}, quality {quality}, by slices"]
        assert {point.setting for point in cut.points} == {f"{m} slices" for m in range(1, config.slices + 1)}
    default = config.default_machine_quality
    for name in (BOTH, ENHANCEMENT):
        assert curves[name].points == curves[f"{name}, machine level {default}"].points
    assert curves[SLICES].points == curves[f"{BOTH}, quality {config.default_quality}, by slices"].points
    assert len(curves) == 4 + 2 * config.machine.levels + config.enhancement.levels


def test_both_layers_less_the_enhancement_is_the_machine_layer(curves: dict[str, Curve]) -> None:
    for machine in curves[MACHINE].points:
        both, alone = (curves[f"{name}, machine {machine.setting}"].points for name in (BOTH, ENHANCEMENT))
        for whole, part in zip(both, alone, strict=True):
            assert whole.figures.bits_per_pixel - part.figures.bits_per_pixel == pytest.approx(
                machine.figures.bits_per_pixel
            )


@pytest.mark.parametrize("other", [JPEG, WEBP, AVIF], ids=lambda other: other.format)
def test_a_peer_has_a_rising_curve(other: PillowPeer, photo: Photo) -> None:
    measured = [one for rung in other.ladder for one in coded_by(other, "peer", photo, rung)]
    (rising,) = curves_of(measured)
    qualities = [point.figures.psnr_db for point in rising.points]
    assert qualities == sorted(qualities)
    assert rising.series == Series(other.name, "peer", "the whole file")
    assert len(rising.points) == len(other.ladder)


def test_points_are_means_over_photos_and_photos_keep_their_own() -> None:
    series = Series("x", "peer", "all")
    photos = [Photo(name, np.zeros((2, 3, 3), np.uint8)) for name in ("a", "b")]
    values = [Figures(1.0, 30.0, 10.0), Figures(2.0, 40.0, None)]
    measured = [Measured(photo, series, "s", one) for photo, one in zip(photos, values, strict=True)]
    assert curves_of(measured)[0].points == (Point("s", Figures(1.5, 35.0, None)),)
    assert by_photo(measured)[1] == {
        "photo": "b",
        "width": 3,
        "height": 2,
        "curves": {"x": [{"setting": "s", "bits_per_pixel": 2.0, "psnr_db": 40.0, "ms_ssim_db": None}]},
    }


def test_a_lossless_picture_makes_no_invalid_json() -> None:
    point = Point("s", Figures(1.0, math.inf, math.inf)).as_dict()
    assert json.loads(json.dumps(point, allow_nan=False))["psnr_db"] is None


def test_tasks_run_side_by_side_and_keep_their_order(photo: Photo) -> None:
    together = threading.Barrier(2, timeout=30)
    advanced: list[None] = []

    def task(number: int) -> list[Measured]:
        together.wait()
        return [Measured(photo, Series(str(number), "peer", ""), "", Figures(1.0, 1.0, None))]

    measured = side_by_side([partial(task, number) for number in range(4)], 2, lambda: advanced.append(None))
    assert [one.series.name for one in measured] == ["0", "1", "2", "3"]
    assert len(advanced) == 4


def test_a_failing_task_ends_the_others() -> None:
    started: list[int] = []

    def task(number: int) -> list[Measured]:
        started.append(number)
        # Else one thread may be through with them all before the other hears of the first.
        time.sleep(0.1)
        raise ImageError("no")

    tasks: list[Callable[[], list[Measured]]] = [partial(task, number) for number in range(200)]
    with pytest.raises(ImageError):
        side_by_side(tasks, 1, lambda: None)
    assert len(started) < 200


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no photo"):
        photos_of(tmp_path)


def test_the_first_photos_by_name_are_taken(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        Image.fromarray(pink_noise(16, 16)).save(tmp_path / f"{name}.png")
    assert [photo.name for photo in photos_of(tmp_path, 2)] == ["a.png", "b.png"]


def test_on_kodak_both_layers_need_fewer_bits_than_jpeg(codec: Codec, data_root: Path) -> None:
    measured = []
    for photo in photos_of(data_root / "kodak")[::8]:
        part = Photo(photo.name, photo.pixels[128:384, 128:384])
        measured += layered(codec, part)
        for rung in JPEG.ladder:
            measured += coded_by(JPEG, "peer", part, rung)
    curves = {one.name: one for one in curves_of(measured)}
    delta = curves[BOTH].bd_rate_against(curves[JPEG.name])
    assert delta is not None
    assert delta < 0.0
    for name in (MACHINE, BOTH, ENHANCEMENT):
        similar = [point.figures.ms_ssim_db for point in curves[name].points]
        assert None not in similar
        assert similar == sorted(similar)  # type: ignore[type-var]
