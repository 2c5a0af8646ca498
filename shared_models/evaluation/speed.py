"""How long the codec takes, beside other codecs in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared_models.codec import Codec
from shared_models.device import use_threads
from shared_models.evaluation.peers import Peer


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call over a number of calls, and the size of what came out."""

    name: str
    median_ms: float
    best_ms: float
    size: int


def pink_noise(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """A picture (height, width, 3) whose spectrum falls as that of photos does, 1/f."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    planes = []
    shared = np.fft.rfft2(rng.standard_normal((height, width)))
    for _ in range(3):
        own = np.fft.rfft2(rng.standard_normal((height, width)))
        plane = np.fft.irfft2((shared + 0.3 * own) / radius, (height, width))
        planes.append(128.0 + 45.0 * plane / plane.std())
    return np.stack(planes, 2).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Operation:
    """One of the codec's operations, timed.

    Attributes:
        stages: median milliseconds of every stage within it. Stages in threads of their own overlap with others.
        frames_per_second: with as many frames at once as there are CPU threads, one thread each; None if not measured.
    """

    timing: Timing
    stages: dict[str, float]
    frames_per_second: float | None


def codec_operations(
    codec: Codec, image: NDArray[np.uint8], repeats: int, threads: int, *, at_once: bool = True
) -> list[Operation]:
    """Encode both layers, decode either view, with `threads` CPU threads in all.

    The encoder runs its two analyses side by side, with half of the threads each.

    Args:
        at_once: measure several frames at once, too.
    """
    use_threads(max(1, threads // 2))
    frame = codec.encode(image)
    machine, both = len(frame.machine), len(frame.machine) + len(frame.enhancement)

    def operation(name: str, call: Callable[[], object], size: int, each: int) -> Operation:
        use_threads(each)
        timing, stages = _staged(codec, name, repeats, call, size)
        return Operation(timing, stages, _frames_per_second(call, repeats, threads) if at_once else None)

    human = lambda: codec.decode_human(frame.machine, frame.enhancement)  # noqa: E731
    return [
        operation("encode, both layers", lambda: codec.encode(image), both, max(1, threads // 2)),
        operation("decode, machine view", lambda: codec.decode_machine(frame.machine), machine, threads),
        operation("decode, human view", human, both, threads),
    ]


def peer_timing(peer: Peer, image: NDArray[np.uint8], quality: int, repeats: int) -> Timing:
    """Encode with a peer."""
    size = len(peer.encode(image, quality))
    return timed(
        f"encode, {peer.name} {peer.dial} {quality}", repeats, lambda: peer.encode(image, quality), size
    )


def timed(name: str, repeats: int, call: Callable[[], object], size: int) -> Timing:
    """Time `call` after one call to warm up."""
    call()
    times = [_milliseconds(call) for _ in range(repeats)]
    return Timing(name, statistics.median(times), min(times), size)


def _staged(
    codec: Codec, name: str, repeats: int, call: Callable[[], object], size: int
) -> tuple[Timing, dict[str, float]]:
    call()
    times: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(repeats):
        before = codec.stages.seconds
        times.append(_milliseconds(call))
        for stage, seconds in codec.stages.seconds.items():
            if (taken := seconds - before.get(stage, 0.0)) > 0.0:
                stages.setdefault(stage, []).append(1000.0 * taken)
    timing = Timing(name, statistics.median(times), min(times), size)
    return timing, {stage: statistics.median(taken) for stage, taken in stages.items()}


def _frames_per_second(call: Callable[[], object], repeats: int, threads: int) -> float:
    use_threads(1)
    with ThreadPoolExecutor(threads, initializer=lambda: use_threads(1)) as pool:
        list(pool.map(lambda _: call(), range(threads)))
        begun = time.perf_counter()
        list(pool.map(lambda _: call(), range(repeats)))
        return repeats / (time.perf_counter() - begun)


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000.0
