"""Pixels to both layers, off the event loop."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from edge.errors import ConfigError
from edge.frame import CapturedFrame, EncodedFrame
from shared_models import Codec


class Encoder:
    """Encodes one frame at a time in a thread of its own.

    Args:
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
    ) -> None:
        profile = codec.config
        for name, value, least, most in (
            ("quality", quality, 0, profile.enhancement.levels - 1),
            ("machine quality", machine_quality, 0, profile.machine.levels - 1),
            ("number of slices", slices, 1, profile.slices),
        ):
            if value is not None and not least <= value <= most:
                raise ConfigError(
                    f"{name} is {value}: the profile {profile.name} has {least} to {most}; "
                    "leave it out for the default"
                )
        self._codec = codec
        self._quality = quality
        self._machine_quality = machine_quality
        self._slices = profile.slices if slices is None else slices
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    def model_id(self) -> bytes:
        """Identity of the codec's model."""
        return self._codec.model_id

    async def encode(self, frame: CapturedFrame) -> EncodedFrame:
        """Encode `frame`; raises what the codec raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, frame)

    def close(self) -> None:
        """Wait for the frame in work and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _encode(self, frame: CapturedFrame) -> EncodedFrame:
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
        )
