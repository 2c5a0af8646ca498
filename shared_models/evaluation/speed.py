"""How long the codec takes, beside other codecs in the same run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared_models.codec import Codec
from shared_models.device import use_threads
from shared_models.evaluation.peers import Peer
from shared_models.group import GROUP, GroupEncoder
from shared_models.photo_file import read_picture
from shared_models.picture import Picture

ENDLESS_GROUP: Final = replace(GROUP, longest=2**63, least_patience=math.inf, scene_cut=math.inf)
"""One key frame for as many frames as are timed, however much of them changed."""
_FRAMES_TO_WARM_UP: Final = 10


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


def picture_to_time(path: Path | None, height: int, width: int) -> Picture:
    """A photo at this size, Lanczos; `pink_noise` without one."""
    if path is None:
        return pink_noise(height, width)
    photo = Image.fromarray(read_picture(path))
    return np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS))


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
    codec: Codec,
    image: Picture,
    repeats: int,
    threads: int,
    *,
    later: Picture | None = None,
    at_once: bool = True,
) -> list[Operation]:
    """Encode both layers, decode either view, with `threads` CPU threads in all; if the codec predicts, `later`, too.

    The encoder runs its two analyses side by side, with half of the threads each.

    Args:
        later: a frame of the same camera, to be predicted from `image`; of the same size.
        at_once: measure several frames at once, too.
    """
    half = max(1, threads // 2)
    use_threads(half)
    frame = codec.encode(image)
    # The first ones of a process take a tenth longer.
    for _ in range(min(repeats, _FRAMES_TO_WARM_UP)):
        codec.encode(image)
    machine, both = len(frame.machine), len(frame.machine) + len(frame.enhancement)

    def operation(name: str, call: Callable[[], object], size: int, each: int) -> Operation:
        use_threads(each)
        timing, stages = _staged(codec, name, repeats, call, size)
        return Operation(timing, stages, _frames_per_second(call, repeats, threads) if at_once else None)

    human = lambda: codec.decode_human(frame.machine, frame.enhancement)  # noqa: E731
    operations = [
        operation("encode, both layers", lambda: codec.encode(image), both, half),
        operation("decode, machine view", lambda: codec.decode_machine(frame.machine), machine, threads),
        operation("decode, human view", human, both, threads),
    ]
    if later is None or not codec.predicts:
        return operations
    encoder = GroupEncoder(codec, ENDLESS_GROUP)
    key = encoder.encode(image, encoder.turn())
    predicted = encoder.encode(later, encoder.turn())
    reference = codec.reference(key.machine, key.enhancement)
    layers = predicted.machine, predicted.enhancement
    machine, both = len(predicted.machine), len(predicted.machine) + len(predicted.enhancement)
    return [
        *operations,
        operation(
            f"encode, predicted, {predicted.changed:.0%} changed",
            lambda: encoder.encode(later, encoder.turn()),
            both,
            half,
        ),
        operation(
            "decode, predicted machine view",
            lambda: codec.decode_machine(predicted.machine, reference),
            machine,
            threads,
        ),
        operation(
            "decode, predicted human view",
            lambda: codec.decode_human(*layers, reference=reference),
            both,
            threads,
        ),
        operation(
            "decode, key as reference",
            lambda: codec.reference(key.machine, key.enhancement),
            len(key.machine) + len(key.enhancement),
            threads,
        ),
    ]


def with_something_moved(image: Picture) -> Picture:
    """The same scene a little later: a third of it a side stands a latent or so lower and further right."""
    height, width = (side // 3 for side in image.shape[:2])
    down, right = (min(side // 6, 24) for side in image.shape[:2])
    later = image.copy()
    later[height + down : 2 * height + down, width + right : 2 * width + right] = image[
        height : 2 * height, width : 2 * width
    ]
    return later


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
