"""Pixels to both layers, off the event loop."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from edge.errors import ConfigError
from edge.frame import CapturedFrame, EncodedFrame
from shared_models import Codec


class Encoder:
    """Encodes frames in threads of its own.

    Args:
        frames_at_once: so many frames are in work together, as long as they wait: a second one uses the time in which
            the first one's steps depend on each other.
        quality, machine_quality, slices: as in `Codec.encode`; None is the codec's default.

    Raises:
        ConfigError: the codec's profile has no such level or not so many slices.
    """

    def __init__(
        self,
        codec: Codec,
        quality: int | None = None,
        machine_quality: int | None = None,
        slices: int | None = None,
        frames_at_once: int = 1,
    ) -> None:
        profile = codec.config
        for name, value, least, most in (
            ("quality", quality, 0, profile.enhancement.levels - 1),
            ("machine quality", machine_quality, 0, profile.machine.levels - 1),
            ("number of slices", slices, 1, profile.enhancement_slices),
        ):
            if value is not None and not least <= value <= most:
                raise ConfigError(
                    f"{name} is {value}: the profile {profile.name} has {least} to {most}; "
                    "leave it out for the default"
                )
        self._codec = codec
        self._quality = quality
        self._machine_quality = machine_quality
        self._slices = profile.enhancement_slices if slices is None else slices
        self.frames_at_once = frames_at_once
        self._turn = 0
        self._threads = ThreadPoolExecutor(max_workers=frames_at_once, thread_name_prefix="encoder")

    @property
    def model_id(self) -> bytes:
        """Identity of the codec's model."""
        return self._codec.model_id

    def request_key(self) -> None:
        """Make the next frame that is encoded a key frame."""

    def encode(self, frame: CapturedFrame) -> asyncio.Future[EncodedFrame]:
        """Begin to encode `frame`; frames take their turns in the order of these calls.

        The result raises what the codec raises.
        """
        turn = self._turn
        self._turn += 1
        return asyncio.wrap_future(self._threads.submit(self._encode, frame, turn))

    def close(self) -> None:
        """Wait for the frames in work and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _encode(self, frame: CapturedFrame, turn: int) -> EncodedFrame:
        started = time.perf_counter_ns()
        layers = self._codec.encode(frame.image, self._quality, self._machine_quality, self._slices)
        encode_us = (time.perf_counter_ns() - started) // 1000
        return EncodedFrame(
            machine=layers.machine,
            enhancement=layers.enhancement,
            slices=self._slices,
            captured_at_ns=frame.captured_at_ns,
            pts_us=frame.pts_us,
            encode_us=encode_us,
            turn=turn,
            key=turn,
            changed=1.0,
        )
