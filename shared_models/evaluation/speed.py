"""How long the codec takes, beside other codecs in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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


def codec_timings(codec: Codec, image: NDArray[np.uint8], repeats: int, threads: int) -> list[Timing]:
    """Encode both layers, decode either view, with `threads` CPU threads in all.

    The encoder runs its two analyses side by side, with half of the threads each.
    """
    use_threads(max(1, threads // 2))
    frame = codec.encode(image)
    machine, both = len(frame.machine), len(frame.machine) + len(frame.enhancement)
    timings = [timed("encode, both layers", repeats, lambda: codec.encode(image), both)]
    use_threads(threads)
    return [
        *timings,
        timed("decode, machine view", repeats, lambda: codec.decode_machine(frame.machine), machine),
        timed(
            "decode, human view", repeats, lambda: codec.decode_human(frame.machine, frame.enhancement), both
        ),
    ]


def peer_timing(peer: Peer, image: NDArray[np.uint8], quality: int, repeats: int) -> Timing:
    """Encode with a peer."""
    size = len(peer.encode(image, quality))
    return timed(f"encode, {peer.name} q{quality}", repeats, lambda: peer.encode(image, quality), size)


def timed(name: str, repeats: int, call: Callable[[], object], size: int) -> Timing:
    """Time `call` after one call to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000.0)
    return Timing(name, statistics.median(times), min(times), size)
