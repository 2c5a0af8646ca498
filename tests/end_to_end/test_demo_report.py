"""What the demo makes of what it saw."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from secondsight.demo.clip import default_clip
from secondsight.demo.demonstration import Look, Witnessed, check
from secondsight.demo.errors import ClipError, ShortfallError
from secondsight.demo.quality import psnr_db, source_frames
from secondsight.demo.report import best_look, side_by_side, summarise, table
from secondsight.demo.subscriber import ReceivedResult
from secondsight.demo.views import View
from secondsight.v1 import analytics_pb2, frame_pb2

CAPTURED_AT_NS = 1_700_000_000_000_000_000


def received(
    sequence: int, labels: tuple[str, ...] = (), failure: str = "", after_ms: int = 100
) -> ReceivedResult:
    result = analytics_pb2.RecognitionResult(
        frame=frame_pb2.FrameId(camera_id="demo", session=1, sequence=sequence),
        width=64,
        height=48,
        failure=failure,
        detections=[
            analytics_pb2.Detection(
                label=label, score=0.5, box=analytics_pb2.Box(x_min=8, y_min=20, x_max=40, y_max=40)
            )
            for label in labels
        ],
    )
    result.captured_at.FromNanoseconds(CAPTURED_AT_NS)
    return ReceivedResult(result, CAPTURED_AT_NS + after_ms * 1_000_000)


def edge_counts(acked: int, **others: Any) -> dict[str, Any]:
    counts = {"captured": acked, "sent": acked, "acked": acked, "presumed": 0, "dropped": {}}
    return (
        counts
        | {"machine_bytes": 100, "enhancement_bytes": 900, "encode_ms": {"p50": 5.0, "p95": 9.0}}
        | others
    )


def grey(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def look(sequence: int, machine: int, human: int) -> Look:
    return Look(f"1-{sequence}", 40_000 * sequence, View(grey(machine), 10.0), View(grey(human), 30.0))


def test_a_whole_run_passes() -> None:
    check(Witnessed(edge_counts(2), [received(1, ("dog",)), received(2)], 0, []), must_detect=True)


def test_a_frame_whose_refusal_may_have_been_lost_need_not_be_recognised() -> None:
    check(Witnessed(edge_counts(2, presumed=1), [received(1)], 0, []), must_detect=False)


@pytest.mark.parametrize(
    ("witnessed", "named"),
    [
        (Witnessed(edge_counts(3), [received(1, ("dog",)), received(2)], 0, []), "1 are lost"),
        (Witnessed(edge_counts(4, presumed=1), [received(1, ("dog",)), received(2)], 0, []), "1 are lost"),
        (Witnessed(edge_counts(2), [received(1, ("dog",)), received(2, failure="torn")], 0, []), "torn"),
        (Witnessed(edge_counts(1), [received(1, ("dog",))], 1, []), "more than once"),
        (Witnessed(edge_counts(2), [received(1), received(2)], 0, []), "nothing was detected"),
        (Witnessed(edge_counts(0), [], 0, []), "no frame was acknowledged"),
    ],
)
def test_a_shortfall_is_named(witnessed: Witnessed, named: str) -> None:
    with pytest.raises(ShortfallError, match=named):
        check(witnessed, must_detect=True)


def test_of_an_unknown_source_nothing_need_be_seen() -> None:
    check(Witnessed(edge_counts(1), [received(1)], 0, []), must_detect=False)


def test_the_summary_counts_what_was_witnessed() -> None:
    results = [received(1, ("dog", "cat"), after_ms=100), received(2, after_ms=300)]
    witnessed = Witnessed(
        edge_counts(2, captured=5, dropped={"uplink_slow": 2, "stopped": 1}),
        results,
        0,
        [look(1, 90, 99), look(2, 1, 1)],
    )
    summary = summarise(witnessed, {40_000: grey(100)})
    assert (summary["captured"], summary["acked"], summary["recognised"], summary["dropped"]) == (5, 2, 2, 3)
    assert (summary["detections"], summary["human_views"]) == (2, 2)
    assert summary["capture_to_result_p50_ms"] == 200.0
    assert summary["psnr_machine_db"] == pytest.approx(20 * math.log10(255 / 10), abs=0.001)
    assert summary["psnr_human_db"] == pytest.approx(20 * math.log10(255), abs=0.001)


def test_the_table_tells_the_pace_at_which_its_figures_were_measured() -> None:
    results = [received(1), received(2), received(3)]
    for index, each in enumerate(results):
        each.result.captured_at.FromNanoseconds(CAPTURED_AT_NS + index * 400_000_000)
    for witnessed, keep_all, pace in (
        (Witnessed(edge_counts(3), results, 0, []), True, "2.5 frames a second, every frame kept"),
        (Witnessed(edge_counts(3), results, 0, []), False, "2.5 frames a second, the newest frames kept"),
        (Witnessed(edge_counts(1), results[:1], 0, []), True, "- frames a second, every frame kept"),
    ):
        console = Console(width=120, record=True, file=StringIO())
        console.print(table(summarise(witnessed, {}), witnessed, keep_all))
        assert pace in console.export_text()


def test_without_a_source_to_compare_there_is_no_psnr() -> None:
    summary = summarise(Witnessed(edge_counts(1), [received(1)], 0, [look(1, 90, 99)]), {})
    assert summary["psnr_machine_db"] is None
    assert summary["psnr_human_db"] is None


def test_the_picture_shows_the_frame_in_which_most_was_seen() -> None:
    results = [received(1), received(2, ("dog", "cat")), received(3, ("dog",))]
    best = best_look(Witnessed(edge_counts(3), results, 0, [look(n, 90, 99) for n in (1, 2, 3)]))
    assert best is not None
    assert best[0].frame == "1-2"
    picture = side_by_side(grey(100), *best)
    assert picture.width == 3 * 64 + 2 * 4
    machine = np.asarray(picture)[-48:, 68:132]
    assert (machine[40, 8:40] != 90).any(axis=-1).all()
    assert (np.asarray(picture)[-48:, 136:] == 99).all()


def test_psnr_of_equal_pictures_is_infinite_and_sizes_are_matched() -> None:
    assert psnr_db(grey(7), grey(7)) == math.inf
    large = np.asarray(Image.fromarray(grey(107)).resize((128, 96)))
    assert psnr_db(grey(97), large) == pytest.approx(20 * math.log10(25.5))


def test_source_frames_are_found_by_their_time() -> None:
    clip = default_clip()
    frames = source_frames(clip, [0, 400_000, 400_001])
    assert set(frames) == {0, 400_000}
    with av.open(str(clip)) as container:
        decoded = [
            frame.to_ndarray(format="rgb24")
            for _, frame in zip(range(11), container.decode(video=0), strict=False)
        ]
    assert np.array_equal(frames[0], decoded[0])
    assert np.array_equal(frames[400_000], decoded[10])


def test_a_clip_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(ClipError, match=r"notes\.mp4"):
        source_frames(path, [0])
