from __future__ import annotations

import numpy as np
import pytest

from edge.change import ChangeMeter

CHANCE = np.random.default_rng(3)
SCENE = np.repeat(np.repeat(CHANCE.integers(40, 200, (15, 20, 3)), 16, 0), 16, 1).astype(np.uint8)


def noisy(image: np.ndarray, deviation: float) -> np.ndarray:
    return np.clip(image + CHANCE.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


def test_the_first_picture_and_one_of_another_size_are_all_new() -> None:
    meter = ChangeMeter()
    assert meter.measure(SCENE) == 1.0
    assert meter.measure(SCENE) == 1.0, "it was measured, but not sent"
    meter.sent()
    assert meter.measure(SCENE) == 0.0
    assert meter.measure(SCENE[:160]) == 1.0


def test_noise_of_the_camera_is_no_change() -> None:
    meter = ChangeMeter()
    meter.measure(noisy(SCENE, 10))
    meter.sent()
    assert [meter.measure(noisy(SCENE, 10)) for _ in range(20)] == [0.0] * 20


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_an_object_counts_with_the_blocks_that_it_covers(blocks: int) -> None:
    meter = ChangeMeter()
    meter.measure(SCENE)
    meter.sent()
    image = SCENE.copy()
    image[32:48, 16 : 16 * (1 + blocks)] = 255
    assert meter.measure(noisy(image, 5)) == pytest.approx(blocks / 300)


def test_slow_change_adds_up_while_nothing_is_sent() -> None:
    meter = ChangeMeter()
    meter.measure(SCENE)
    meter.sent()
    assert meter.measure(SCENE + np.uint8(5)) == 0.0
    assert meter.measure(SCENE + np.uint8(9)) == 1.0


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (250, 333)])
def test_any_size_that_the_codec_takes_can_be_measured(size: tuple[int, int]) -> None:
    meter = ChangeMeter()
    image = np.zeros((*size, 3), np.uint8)
    meter.measure(image)
    meter.sent()
    assert meter.measure(image) == 0.0
    assert meter.measure(image + np.uint8(99)) == 1.0
