"""Clips coded by every codec there is, with views judged by colour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.evaluation.cache import Cache
from server.evaluation.stream import StreamMeasurement
from server.evaluation.stream_clip import Clip
from server.evaluation.stream_codings import (
    Groups,
    KeysAlone,
    Levels,
    SingleFiles,
    StreamCoding,
    VideoStream,
)
from server.evaluation.stream_judge import Judge
from shared_models import Codec
from shared_models.evaluation.peers import JPEG
from shared_models.evaluation.stream import GROUPS, KEYS_ALONE, ClipFindings, StreamPoint
from shared_models.evaluation.video_peers import X264_STREAM, X265_STREAM
from shared_models.group import GroupConfig
from shared_models.layer import LayerEntropyModel
from shared_models.profile import predicted_models
from shared_models.weights import Weights, shipped_weights
from tests.server.evaluation.clips import moving, written
from tests.server.evaluation.synthetic import ColourRecogniser

FRAMES = 6
LEVELS = Levels(1, 2)


@pytest.fixture(scope="module")
def codec() -> Codec:
    """The shipped codec, able to predict: where it was not trained for that, as blind to the key as at the start."""
    weights = Weights.load(shipped_weights("lite"))
    if weights.predicted is None:
        models = predicted_models(weights.config)
        for model, layer in ((models.machine, weights.machine), (models.enhancement, weights.enhancement)):
            assert isinstance(model, LayerEntropyModel) and isinstance(layer.entropy, LayerEntropyModel)
            model.start_predicted(layer.entropy)
        weights = replace(weights, predicted=models)
    return Codec(weights, "cpu")


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return Clip.opened(written(moving(FRAMES), tmp_path / "clip.mkv"))


def measured(clip: Clip, coding: StreamCoding, judged: int = 3) -> StreamPoint:
    with Cache(None) as cache:
        return coding.measure(clip, Judge(clip, {"colours": ColourRecogniser()}, cache, judged))


def test_groups_cost_what_their_frames_cost_and_their_views_are_those_of_the_still_codec(
    clip: Clip, codec: Codec
) -> None:
    point = measured(clip, Groups(codec, LEVELS, GroupConfig(longest=4)), judged=FRAMES)
    sizes = point.sizes
    assert sizes is not None
    assert sizes.key == (0, 0, 0, 0, 4, 4)
    first = codec.encode(next(clip.pictures()), quality=3, machine_quality=1)
    assert (sizes.machine[0], sizes.enhancement[0]) == (len(first.machine), len(first.enhancement))
    assert point.machine_bytes == sum(sizes.machine)
    assert point.both_bytes == point.machine_bytes + sum(sizes.enhancement)
    assert point.changed is not None
    assert 0.0 < point.changed < 1.0
    assert point.human_view.psnr_db > point.machine_view.psnr_db > 20.0
    assert point.agreement["colours"].at_half == 1.0


def test_key_frames_alone_are_measured_on_what_is_looked_at(clip: Clip, codec: Codec) -> None:
    point = measured(clip, KeysAlone(codec, LEVELS))
    assert (point.frames, point.changed) == (3, None)
    assert point.sizes is not None
    assert point.sizes.key == (0, 1, 2)
    groups = measured(clip, Groups(codec, LEVELS, GroupConfig(longest=1)), judged=FRAMES)
    every = measured(clip, KeysAlone(codec, LEVELS), judged=FRAMES)
    assert groups.sizes == every.sizes
    assert groups.human_view == every.human_view


@pytest.mark.parametrize(
    ("coding", "cheaper"),
    [
        (VideoStream(X264_STREAM, 24, 125), VideoStream(X264_STREAM, 48, 125)),
        (VideoStream(X265_STREAM, 24, 125), VideoStream(X265_STREAM, 48, 125)),
        (SingleFiles(JPEG, 80), SingleFiles(JPEG, 5)),
    ],
    ids=["x264", "x265", "JPEG"],
)
def test_other_codecs_have_one_stream_for_all(
    clip: Clip, coding: StreamCoding, cheaper: StreamCoding
) -> None:
    point, less = measured(clip, coding), measured(clip, cheaper)
    assert point.machine_bytes == point.both_bytes > 0
    assert point.machine_view == point.human_view
    assert point.human_view.psnr_db > 28.0
    assert point.agreement["colours"].at_half == 1.0
    assert point.sizes is None
    assert less.both_bytes < point.both_bytes
    assert less.human_view.psnr_db < point.human_view.psnr_db


def test_key_frames_of_video_cost_bits(clip: Clip) -> None:
    often, seldom = (measured(clip, VideoStream(X265_STREAM, 34, keyint)) for keyint in (1, 125))
    assert often.both_bytes > 1.5 * seldom.both_bytes


def test_a_run_that_broke_off_goes_on_where_it_was(clip: Clip, codec: Codec, tmp_path: Path) -> None:
    codings: list[StreamCoding] = [KeysAlone(codec, LEVELS), VideoStream(X265_STREAM, 34, 125)]

    class BrokenOffError(Exception):
        pass

    def run(stop_after: int | None = None) -> tuple[ClipFindings | None, int]:
        recogniser = ColourRecogniser()
        told: list[StreamPoint] = []

        def advance(coding: StreamCoding, point: StreamPoint) -> None:
            told.append(point)
            if len(told) == stop_after:
                raise BrokenOffError

        with Cache(tmp_path / "cache") as cache:
            measurement = StreamMeasurement(codings, {"colours": recogniser}, cache, judged=2)
            try:
                return measurement.measure(clip, advance), recogniser.calls
            except BrokenOffError:
                return None, recogniser.calls

    assert run(stop_after=1) == (None, 4)  # two originals, two views
    found, calls = run()
    assert calls == 2
    again, calls = run()
    assert calls == 0
    assert found is not None
    assert found == again
    assert [curve.name for curve in found.curves] == [KEYS_ALONE, X265_STREAM.name]


def test_what_was_measured_with_other_settings_does_not_count(clip: Clip, codec: Codec) -> None:
    identities = {
        coding.identity
        for coding in (
            Groups(codec, LEVELS, GroupConfig()),
            Groups(codec, LEVELS, GroupConfig(longest=10)),
            Groups(codec, Levels(1, 1), GroupConfig()),
            KeysAlone(codec, LEVELS),
            VideoStream(X265_STREAM, 34, 125),
            VideoStream(X265_STREAM, 34, 250),
            VideoStream(X264_STREAM, 34, 125),
            SingleFiles(JPEG, 34),
        )
    }
    assert len(identities) == 8
    assert all(
        codec.predicting_id.hex() in each for each in identities if each.startswith((GROUPS, KEYS_ALONE))
    )
