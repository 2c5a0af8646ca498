"""Clips of cameras, coded in several ways and judged, with what was measured before taken from the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from server.evaluation.cache import Cache, identity_of
from server.evaluation.config import STREAM
from server.evaluation.stream_clip import Clip
from server.evaluation.stream_codings import StreamCoding
from server.evaluation.stream_judge import Judge
from server.recognition import Recogniser
from shared_models.evaluation.rate_distortion import Series
from shared_models.evaluation.stream import KEYS_ALONE, ClipFindings, HumanViews, StreamCurve, StreamPoint
from shared_models.evaluation.video_peers import X264_STREAM, X265_STREAM

_ANCHORS = (X265_STREAM.name, X264_STREAM.name, KEYS_ALONE)


@dataclass(frozen=True)
class StreamMeasurement:
    """What clips are measured with.

    Attributes:
        recognisers: by the name under which they are told of.
        judged: frames of a clip that are looked at.
    """

    codings: Sequence[StreamCoding]
    recognisers: Mapping[str, Recogniser]
    cache: Cache
    judged: int = STREAM.judged

    def measure(
        self, clip: Clip, advance: Callable[[StreamCoding, StreamPoint], None], *, moving: bool = False
    ) -> ClipFindings:
        """All codings of one clip; `advance` is called after each.

        Raises:
            ClipError: the clip cannot be read.
            PeerError: a codec to compare with failed.
        """
        judge = Judge(clip, self.recognisers, self.cache, self.judged)
        recognisers = ", ".join(
            f"{name}: {identity_of(recogniser)}" for name, recogniser in self.recognisers.items()
        )
        judged_clip = (
            f"{clip.digest}, {clip.frames} frames, {len(judge.places)} judged by {recognisers}, "
            f"truth from {STREAM.truth_score:g}"
        )
        points: dict[Series, list[StreamPoint]] = {}
        for coding in self.codings:
            figures = self.cache.figures(
                coding.identity, judged_clip, partial(_measured, coding, clip, judge)
            )
            point = StreamPoint.recalled(figures)
            points.setdefault(coding.series, []).append(point)
            advance(coding, point)
        return ClipFindings(
            clip.path.name,
            moving,
            clip.frames,
            len(judge.places),
            clip.shape,
            judge.truths,
            tuple(StreamCurve.of(series, clip.shape, measured) for series, measured in points.items()),
            HumanViews(STREAM.shares, STREAM.seed, STREAM.draws),
            _ANCHORS,
            STREAM.agreement,
        )


def _measured(coding: StreamCoding, clip: Clip, judge: Judge) -> dict[str, Any]:
    return asdict(coding.measure(clip, judge))
