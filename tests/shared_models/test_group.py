from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from shared_models import Codec, Layer, errors
from shared_models.bitstream import FrameType
from shared_models.codec import Changes
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise
from shared_models.group import GROUP, GroupConfig, GroupEncoder, GroupFrame
from shared_models.light import Light
from shared_models.picture import Picture
from shared_models.weights import Weights, shipped_weights

HEIGHT, WIDTH, SIDE = 128, 160, 32
SCENE = pink_noise(HEIGHT, WIDTH)
OTHER_SCENE = pink_noise(HEIGHT, WIDTH, seed=7)
MOST_FOR_NOTHING = 120
"""Bytes of a layer in which nothing changed: two thirds are the header and the frames of its segments."""


@pytest.fixture
def encoder(predicting_codec: Codec) -> GroupEncoder:
    return GroupEncoder(predicting_codec)


def encoded(encoder: GroupEncoder, pictures: Iterable[Picture]) -> list[GroupFrame]:
    return [encoder.encode(picture, encoder.turn()) for picture in pictures]


def keys(frames: Iterable[GroupFrame]) -> list[int]:
    return [frame.key for frame in frames]


def cost(frame: GroupFrame) -> int:
    return len(frame.machine) + len(frame.enhancement)


def levels_of(codec: Codec, frame: GroupFrame) -> tuple[int, int]:
    header = codec.inspect(frame.enhancement, Layer.ENHANCEMENT)
    return header.machine_quality, header.quality


def with_thing(left: int) -> Picture:
    picture = SCENE.copy()
    picture[40 : 40 + SIDE, left : left + SIDE] = (200, 60, 30)
    return picture


def drifted(tiles: int) -> Picture:
    """A scene of which one tile after another becomes different for good."""
    picture = SCENE.copy()
    for tile in range(tiles):
        row, column = divmod(tile, WIDTH // SIDE)
        place = (
            slice(SIDE * row, SIDE * (row + 1)),
            slice(SIDE * column, SIDE * (column + 1)),
        )
        picture[place] = OTHER_SCENE[place]
    return picture


def flickering(number: int) -> Picture:
    """A scene with a place that is different in every frame."""
    picture = SCENE.copy()
    picture[32:80, 48:96] = pink_noise(48, 48, seed=100 + number)
    return picture


def noisy(number: int, deviation: float) -> Picture:
    rng = np.random.default_rng(number)
    return (SCENE + rng.normal(0.0, deviation, SCENE.shape)).clip(0, 255).astype(np.uint8)


def test_a_frame_in_which_nothing_moved_costs_next_to_nothing(encoder: GroupEncoder) -> None:
    key, *others = encoded(encoder, [SCENE] * 3)
    assert (key.frame_type, key.key, key.changed) == (FrameType.SELF_CONTAINED, 1, 1.0)
    for frame in others:
        assert (frame.frame_type, frame.key, frame.changed) == (FrameType.PREDICTED, 1, 0.0)
        assert max(len(frame.machine), len(frame.enhancement)) < MOST_FOR_NOTHING


def test_what_moved_is_coded_and_nothing_else(predicting_codec: Codec, encoder: GroupEncoder) -> None:
    key, frame = encoded(encoder, [SCENE, with_thing(80)])
    assert 0.0 < frame.changed < 0.2
    assert cost(frame) < 0.3 * cost(key)
    reference = predicting_codec.reference(key.machine, key.enhancement)
    view = predicting_codec.decode_human(frame.machine, frame.enhancement, reference=reference)
    alone = predicting_codec.encode(with_thing(80))
    anew = predicting_codec.decode_human(alone.machine, alone.enhancement)
    assert psnr(with_thing(80), view) > psnr(with_thing(80), anew) - 1.0
    assert psnr(with_thing(80), view) > psnr(with_thing(80), SCENE)


def test_any_frame_needs_its_key_frame_alone(predicting_codec: Codec, encoder: GroupEncoder) -> None:
    pictures = [with_thing(16 * step) for step in range(4)]
    key, *others = encoded(encoder, pictures)
    reference = predicting_codec.reference(key.machine)
    for frame, picture in reversed(list(zip(others, pictures[1:], strict=True))):
        view = predicting_codec.decode_machine(frame.machine, reference)
        alone = predicting_codec.encode(picture).machine
        assert psnr(picture, view) > psnr(picture, predicting_codec.decode_machine(alone)) - 1.0
        assert predicting_codec.inspect(frame.machine).reference == reference.name


def test_a_requested_key_frame_comes_once(encoder: GroupEncoder) -> None:
    frames = encoded(encoder, [SCENE] * 2)
    encoder.request_key()
    assert keys(frames + encoded(encoder, [SCENE] * 2)) == [1, 1, 3, 3]


def test_another_size_or_number_of_slices_begins_a_group(encoder: GroupEncoder) -> None:
    encoded(encoder, [SCENE])
    assert encoder.encode(SCENE[:112], encoder.turn()).key == 2
    assert encoder.encode(SCENE[:112], encoder.turn(), slices=2).key == 3
    assert encoder.encode(SCENE[:112], encoder.turn(), slices=2).key == 3


def test_another_quality_begins_none(predicting_codec: Codec, encoder: GroupEncoder) -> None:
    key = encoder.encode(SCENE, encoder.turn(), quality=3, machine_quality=2)
    frame = encoder.encode(with_thing(80), encoder.turn(), quality=0, machine_quality=0)
    assert frame.key == 1
    reference = predicting_codec.reference(key.machine, key.enhancement)
    view = predicting_codec.decode_human(frame.machine, frame.enhancement, reference=reference)
    assert view.shape == SCENE.shape


def test_a_scene_cut_begins_a_group(encoder: GroupEncoder) -> None:
    assert keys(encoded(encoder, [SCENE, SCENE, OTHER_SCENE, OTHER_SCENE])) == [1, 1, 3, 3]


def test_a_group_is_no_longer_than_it_may_be(predicting_codec: Codec) -> None:
    encoder = GroupEncoder(predicting_codec, replace(GROUP, longest=3))
    assert keys(encoded(encoder, [SCENE] * 7)) == [1, 1, 1, 4, 4, 4, 7]


def test_a_drifting_scene_gets_a_key_frame_when_the_drift_has_cost_as_much(predicting_codec: Codec) -> None:
    config = replace(GROUP, scene_cut=2.0, least_patience=GROUP.most_patience)
    frames = encoded(GroupEncoder(predicting_codec, config), [drifted(tiles) for tiles in range(20)])
    second = next(frame.key for frame in frames if frame.key != 1)
    price, costs = cost(frames[0]), [cost(frame) for frame in frames[1 : second - 1]]
    settled = sum(costs[: config.settled]) / config.settled
    excess = np.cumsum([max(0.0, each - settled) for each in costs[config.settled :]])
    assert excess[-1] >= price > excess[-2]
    assert cost(frames[second]) < 0.5 * costs[-1]


def test_a_key_frame_that_did_not_help_is_tried_again_after_twice_as_long(predicting_codec: Codec) -> None:
    config = GroupConfig(least_patience=1.0)
    frames = encoded(
        GroupEncoder(predicting_codec, config),
        [flickering(number) for number in range(24)],
    )
    starts = sorted(set(keys(frames)))
    for patience, (start, end) in enumerate(pairwise(starts[:3]), 1):
        price, *paid = [cost(frame) for frame in frames[start - 1 : end - 1]]
        assert sum(paid) >= patience * price > sum(paid[:-1])


def test_a_key_frame_is_finer_than_what_is_predicted_from_it(predicting_codec: Codec) -> None:
    def levels(config: GroupConfig, machine_quality: int, quality: int) -> list[tuple[int, int]]:
        encoder = GroupEncoder(predicting_codec, config)
        asked = {"machine_quality": machine_quality, "quality": quality}
        frames = [encoder.encode(SCENE, encoder.turn(), **asked) for _ in range(2)]
        return [levels_of(predicting_codec, frame) for frame in frames]

    finer = replace(GROUP, finer_keys=(1, 2))
    assert levels(finer, 0, 0) == [(1, 2), (0, 0)]
    assert levels(finer, 3, 2) == [(3, 3), (3, 2)]
    assert levels(replace(finer, longest=1), 0, 0) == [(0, 0), (0, 0)]


def test_a_key_frame_behind_a_short_group_is_no_finer_unless_it_was_asked_for(
    predicting_codec: Codec,
) -> None:
    encoder = GroupEncoder(predicting_codec)
    pictures = [SCENE, OTHER_SCENE, *4 * [SCENE], OTHER_SCENE]
    frames = [encoder.encode(picture, encoder.turn(), quality=0) for picture in pictures]
    encoder.request_key()
    frames.append(encoder.encode(OTHER_SCENE, encoder.turn(), quality=0))
    assert keys(frames) == [1, 2, 3, 3, 3, 3, 7, 8]
    assert [levels_of(predicting_codec, frame)[1] for frame in frames] == [3, 0, 0, 0, 0, 0, 3, 3]


def test_the_noise_of_a_camera_is_no_change(encoder: GroupEncoder) -> None:
    _, *frames = encoded(encoder, [noisy(number, 4.0) for number in range(10)])
    assert all(frame.changed == 0.0 and len(frame.enhancement) < MOST_FOR_NOTHING for frame in frames)


def test_noise_beyond_the_thresholds_is_known_from_the_first_predicted_frame_on(
    predicting_codec: Codec,
) -> None:
    encoder = GroupEncoder(predicting_codec, replace(GROUP, thresholds=(0.2, 2.0)))
    key, *frames = encoded(encoder, [noisy(number, 8.0) for number in range(6)])
    assert all(cost(frame) < 2 * MOST_FOR_NOTHING for frame in frames)
    deaf = GroupEncoder(predicting_codec, replace(GROUP, thresholds=(0.2, 2.0), noise_margin=0.0))
    assert max(map(cost, encoded(deaf, [noisy(number, 8.0) for number in range(6)])[1:])) > 0.5 * cost(key)


def test_noise_that_was_learned_at_one_level_is_known_at_another(encoder: GroupEncoder) -> None:
    coarse = dict.fromkeys(("quality", "machine_quality"), 0)
    fine = dict.fromkeys(("quality", "machine_quality"), 3)
    levels = [coarse] * 6 + [fine] * 3
    _, *frames = [
        encoder.encode(noisy(number, 8.0), encoder.turn(), **level) for number, level in enumerate(levels)
    ]
    assert all(cost(frame) < 2 * MOST_FOR_NOTHING for frame in frames)


@pytest.mark.parametrize("contrast", [0.3, 0.5])
def test_a_picture_that_changes_everywhere_is_no_noise(predicting_codec: Codec, contrast: float) -> None:
    changed = (SCENE + contrast * (OTHER_SCENE - 128.0)).clip(0, 255).astype(np.uint8)
    alone = psnr(changed, predicting_codec.decode_machine(predicting_codec.encode(changed).machine))
    key, frame = encoded(GroupEncoder(predicting_codec), [SCENE, changed])
    reference = predicting_codec.reference(key.machine) if frame.frame_type is FrameType.PREDICTED else None
    assert psnr(changed, predicting_codec.decode_machine(frame.machine, reference)) > alone - 0.5


def test_light_that_changes_as_a_whole_is_no_change(predicting_codec: Codec, encoder: GroupEncoder) -> None:
    darker = (SCENE * 0.85 + 8.0).clip(0, 255).astype(np.uint8)
    key, frame = encoded(encoder, [SCENE, darker])
    assert frame.changed < 0.05
    assert cost(frame) < 3 * MOST_FOR_NOTHING
    reference = predicting_codec.reference(key.machine, key.enhancement)
    view = predicting_codec.decode_human(frame.machine, frame.enhancement, reference=reference)
    assert psnr(darker, view) > psnr(SCENE, predicting_codec.decode_human(key.machine, key.enhancement)) - 0.5


def test_turns_may_be_used_in_any_order_by_several_threads(predicting_codec: Codec) -> None:
    pictures = [with_thing(8 * step) for step in range(8)]
    expected = encoded(GroupEncoder(predicting_codec), pictures)
    encoder = GroupEncoder(predicting_codec)
    turns = [encoder.turn() for _ in pictures]
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(len(pictures)) as pool:
        coming = {turn: pool.submit(encoder.encode, pictures[turn - 1], turn) for turn in reversed(turns)}
    torch.set_num_threads(threads)
    assert [coming[turn].result() for turn in turns] == expected


def test_skipped_turns_hold_nobody_up(encoder: GroupEncoder) -> None:
    turns = [encoder.turn() for _ in range(5)]
    encoder.skip(turns[3])
    encoder.skip(turns[0])
    frames = [encoder.encode(SCENE, turns[place]) for place in (1, 2, 4)]
    assert keys(frames) == [2, 2, 2]


def test_a_picture_that_is_refused_has_used_its_turn(encoder: GroupEncoder) -> None:
    first, refused, last = (encoder.turn() for _ in range(3))
    encoder.encode(SCENE, first)
    with pytest.raises(errors.ImageError):
        encoder.encode(SCENE[:8], refused)
    with pytest.raises(errors.QualityError):
        encoder.encode(SCENE, encoder.turn(), quality=99)
    assert encoder.encode(SCENE, last).key == 1


def test_after_a_key_frame_that_failed_comes_another(
    predicting_codec: Codec, encoder: GroupEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OutOfMemory(Exception):
        pass

    def fail(*_: object) -> None:
        raise OutOfMemory

    with monkeypatch.context() as broken:
        broken.setattr(predicting_codec, "code", fail)
        with pytest.raises(OutOfMemory):
            encoder.encode(SCENE, encoder.turn())
    assert keys(encoded(encoder, [SCENE, SCENE])) == [2, 2]


def test_frames_that_wait_for_a_key_frame_that_fails_fail_with_it(
    predicting_codec: Codec, encoder: GroupEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that took its turn beside the key frame has nothing to be predicted from."""

    class OutOfMemory(Exception):
        pass

    code, waiting = predicting_codec.code, encoder.turn()
    second = encoder.turn()
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as broken:
        beside = pool.submit(encoder.encode, SCENE, second)

        def fail(analysed: object, point: object, changes: object = None) -> object:
            if changes is None:
                raise OutOfMemory
            return code(analysed, point, changes)  # type: ignore[arg-type]

        broken.setattr(predicting_codec, "code", fail)
        with pytest.raises(OutOfMemory):
            encoder.encode(SCENE, waiting)
        with pytest.raises(OutOfMemory):
            beside.result()
    assert keys(encoded(encoder, [SCENE])) == [3]


def test_a_model_without_predicted_frames_encodes_key_frames(predicting_codec: Codec) -> None:
    weights = replace(Weights.load(shipped_weights("lite")), predicted=None)
    still = Codec(weights, "cpu", torch.float32)
    assert not still.predicts
    assert keys(encoded(GroupEncoder(still), [SCENE] * 2)) == [1, 2]
    (key, frame) = encoded(GroupEncoder(predicting_codec), [SCENE] * 2)
    with pytest.raises(errors.ModelError):
        still.inspect(frame.machine, Layer.MACHINE)
    changed = torch.ones(1, 1, HEIGHT // 16, WIDTH // 16, dtype=torch.bool)
    light = Light(torch.full((1, 4), 512.0))
    changes = Changes(predicting_codec.reference(key.machine, key.enhancement), light, changed, changed)
    with pytest.raises(errors.FrameTypeError, match="use weights that have the part"):
        still.code(still.analyse(SCENE), still.operating_point(), changes)
