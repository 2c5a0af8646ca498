"""What the spool costs beside the encoder and beside the bare disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from edge.config import SpoolConfig
from edge.encoder import Encoder
from edge.frame import CapturedFrame, EncodedFrame
from edge.metrics import Tally
from edge.pending import Pending
from edge.spool import Spool
from shared_models.codec import Codec
from shared_models.evaluation.speed import pink_noise, with_something_moved

Sync = Literal["frame", "second", "system"]

SYNCS: Final[tuple[Sync, ...]] = ("frame", "second", "system")
_IN_TURN: Final = 8
"""Frames that are under way together, as with a server's credits."""


@dataclass(frozen=True)
class Cost:
    """Time of one frame in microseconds: the mean, and the longest.

    Attributes:
        mean_us: over all frames.
        longest_us: of the frame that took longest.
    """

    mean_us: float
    longest_us: float


@dataclass(frozen=True)
class SpoolCost:
    """What a frame costs in a spool that is filled, and then emptied.

    Attributes:
        put: from the encoder into the spool.
        send: from the spool until it could be written on the uplink.
        acknowledge: to let go of it.
    """

    sync: Sync
    put: Cost
    send: Cost
    acknowledge: Cost


@dataclass(frozen=True)
class SpoolBench:
    """The spool's costs and what they are held against, all of one run.

    Attributes:
        frame_bytes: of both layers, mean.
        encode: of both layers.
        append, append_and_sync: the same bytes at the end of a plain file, left to the system or synced one by one.
    """

    frames: int
    frame_bytes: float
    encode: Cost
    append: Cost
    append_and_sync: Cost
    spools: tuple[SpoolCost, ...]


async def measure(codec: Codec, folder: Path, frames: int, width: int, height: int) -> SpoolBench:
    """Measure in a scratch folder inside `folder`.

    Args:
        frames: to put, send and acknowledge at each level of sync; a few of them are encoded, and then repeated.
    """
    encoded, encode = await _encoded(codec, width, height)
    repeated = [
        replace(encoded[index % len(encoded)], turn=index + 1, key=index + 1 - index % len(encoded))
        for index in range(frames)
    ]
    with tempfile.TemporaryDirectory(dir=folder, prefix="spool-bench-") as scratch:
        place = Path(scratch)
        return SpoolBench(
            frames=frames,
            frame_bytes=sum(len(frame.machine) + len(frame.enhancement) for frame in repeated) / frames,
            encode=encode,
            append=_append(repeated, place / "plain", sync=False),
            append_and_sync=_append(repeated, place / "synced", sync=True),
            spools=tuple([await _spool(repeated, place / sync, sync) for sync in SYNCS]),
        )


async def _encoded(codec: Codec, width: int, height: int) -> tuple[list[EncodedFrame], Cost]:
    """A key frame and some that are predicted from it, after one to warm up."""
    still = pink_noise(height, width)
    pictures = [still, *([with_something_moved(still)] * 4)]
    encoder = Encoder(codec)
    try:
        await encoder.encode(CapturedFrame(still, 0, 0))
        encoder.request_key()
        frames = [await encoder.encode(CapturedFrame(picture, 0, 0)) for picture in pictures]
    finally:
        encoder.close()
    return frames, _cost([frame.encode_us for frame in frames])


def _append(frames: list[EncodedFrame], path: Path, sync: bool) -> Cost:
    took = []
    with path.open("wb", buffering=0) as file:
        for frame in frames:
            began = time.perf_counter_ns()
            file.write(frame.machine + frame.enhancement)
            if sync:
                os.fsync(file.fileno())
            took.append((time.perf_counter_ns() - began) / 1e3)
    return _cost(took)


async def _spool(frames: list[EncodedFrame], folder: Path, sync: Sync) -> SpoolCost:
    tally = Tally()
    spool = Spool(SpoolConfig(folder, max_bytes=2**40, sync=sync), "bench", True, None, tally)
    pending = Pending(tally, spool)
    await pending.open()
    tending = asyncio.create_task(pending.tend())
    put, send, acknowledge = list[float](), list[float](), list[float]()
    try:
        for frame in frames:
            put.append(await _timed(pending.add(frame)))
        await pending.welcome(1, 0)
        while pending.has_unsent:
            sequence = 0
            for _ in range(_IN_TURN):
                began = time.perf_counter_ns()
                waiting = await pending.next_unsent()
                if waiting is None:
                    break
                pending.mark_sent(waiting)
                send.append((time.perf_counter_ns() - began) / 1e3)
                sequence = waiting.sequence
            in_turn = pending.under_way
            took = await _timed(pending.acknowledge(sequence))
            acknowledge += [took / in_turn] * in_turn
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        await pending.close()
    return SpoolCost(sync, _cost(put), _cost(send), _cost(acknowledge))


async def _timed(work: Awaitable[None]) -> float:
    """Microseconds that it takes."""
    began = time.perf_counter_ns()
    await work
    return (time.perf_counter_ns() - began) / 1e3


def _cost(took_us: list[float] | list[int]) -> Cost:
    return Cost(sum(took_us) / len(took_us), float(max(took_us)))
