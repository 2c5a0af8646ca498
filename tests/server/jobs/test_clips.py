"""Clips: films of what was captured, when it was captured, and who may have them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
from PIL import Image
from redis.asyncio import Redis

from server.jobs.film import Film
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter
from tests.server.jobs.asking import OFFSETS_MS, filmed, open_to

Stream = list[GroupFrame]


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    """Seconds and pixels of the pictures of a film."""
    with av.open(str(path)) as film:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


async def test_a_clip_shows_each_picture_when_it_was_captured(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        await filmed(server, codec, stream, client)
        for view in ("machine", "human"):
            job = await asking.ended("clips", camera="gate", view=view)
            assert (job["progress"], job["frames"], job["left_out"]) == (1.0, 8, 0)
            path = await asking.file(job, tmp_path)
            pictures = shown(path)
            assert np.allclose([at for at, _ in pictures], np.array(OFFSETS_MS) / 1000, atol=1e-4)
            for sequence, (_, picture) in enumerate(pictures, start=1):
                png = await asking.get(f"/v1/cameras/gate/frames/1-{sequence}/image?view={view}&format=png")
                assert difference(picture, pixels(png.content)) < 6, (view, sequence)
            with av.open(str(path)) as film:
                assert (film.streams.video[0].codec_context.name) == "h264"
                assert film.duration == (OFFSETS_MS[-1] + OFFSETS_MS[-1] - OFFSETS_MS[-2]) * 1000
                about = json.loads(film.metadata["secondsight"])
            assert (about["cameras"], about["view"], about["frames"]) == (["gate"], view, 8)


def test_a_film_is_made_smaller_and_takes_pictures_of_any_shape(tmp_path: Path) -> None:
    wide = np.full((65, 97, 3), (200, 40, 90), np.uint8)
    for width, size in ((None, (98, 66)), (4000, (98, 66)), (49, (48, 32))):
        path = tmp_path / f"{width}.mp4"
        film = Film(path, width)
        for step, picture in enumerate((wide, wide, wide[:, :40], np.repeat(wide, 2, axis=0))):
            film.add(picture, 1_700_000_000 * 10**9 + step * 40_000_000)
        film.close()
        film.finish({})
        shown_ = [picture for _, picture in shown(path)]
        assert {picture.shape for picture in shown_} == {(size[1], size[0], 3)}
        for picture in shown_:
            assert np.abs(picture[size[1] // 2, size[0] // 2].astype(int) - wide[0, 0]).max() < 8
        # What is of another shape stands on black, whole.
        assert shown_[2][:, :2].mean() < 8 and shown_[0][:, :2].mean() > 60


def test_two_pictures_of_one_moment_are_both_shown(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4", None)
    for brightness in (10, 120, 240):
        film.add(np.full((32, 32, 3), brightness, np.uint8), 1_700_000_000 * 10**9)
    film.close()
    film.finish({})
    assert [round(float(picture.mean()), -1) for _, picture in shown(tmp_path / "film.mp4")] == [10, 120, 240]
