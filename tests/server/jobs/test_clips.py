"""Clips: films of what was captured, when it was captured, and who may have them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
from PIL import Image
from redis.asyncio import Redis

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
