"""Pixels to both layers, off the event loop."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from dataclasses import replace

from edge.config import RateConfig
from edge.encoder_threads import EncoderThreads
from edge.errors import ConfigError
from edge.frame import CapturedFrame, EncodedFrame
from edge.rate_control import Levels, ladder
from shared_models import Codec
from shared_models.group import GROUP, GroupEncoder


class Encoder:
    """Encodes one camera's frames, each predicted from the last key frame where that pays.

    Args:
        frames_at_once: so many frames are in work together, as long as they wait: a second one uses the time in which
            the first one's steps depend on each other.
        quality, machine_quality, slices: as in `Codec.encode`; None is the codec's default.
        longest_group: frames of a group at most; 1 makes every frame a key frame.
        threads: shared with other cameras; None gives this one threads of its own.

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
        longest_group: int = GROUP.longest,
        threads: EncoderThreads | None = None,
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
        self._levels = Levels(
            machine=profile.default_machine_quality if machine_quality is None else machine_quality,
            human=profile.default_quality if quality is None else quality,
        )
        self._slices = profile.enhancement_slices if slices is None else slices
        self.frames_at_once = frames_at_once
        self._group = GroupEncoder(codec, replace(GROUP, longest=longest_group))
        self._shares_threads = threads is not None
        self.threads = threads or EncoderThreads(frames_at_once)

    @property
    def model_id(self) -> bytes:
        """Identity of the codec's model."""
        return self._codec.predicting_id

    def ladder(self, rate: RateConfig) -> tuple[Levels, ...]:
        """The levels that rate control may choose, up to this encoder's own.

        Raises:
            ConfigError: the least level is above the highest.
        """
        for name, least, most in (
            ("machine quality", rate.least_machine_quality, self._levels.machine),
            ("quality", rate.least_quality, self._levels.human),
        ):
            if not 0 <= least <= most:
                raise ConfigError(
                    f"the least {name} is {least}: it may be 0 to {most}, the {name} that is set or the default"
                )
        return ladder(
            range(rate.least_machine_quality, self._levels.machine + 1),
            range(rate.least_quality, self._levels.human + 1),
            rate.both_layers,
        )

    def request_key(self) -> None:
        """Make the next frame a key frame."""
        self._group.request_key()

    def encode(self, frame: CapturedFrame, levels: Levels | None = None) -> asyncio.Future[EncodedFrame]:
        """Begin to encode `frame`; frames take their turns in the order of these calls.

        The result raises what the codec raises.

        Args:
            levels: other levels than this encoder's own.
        """
        turn = self._group.turn()

        def skip_if_never_begun(coding: Future[EncodedFrame]) -> None:
            if coding.cancelled():
                self._group.skip(turn)

        coding: Future[EncodedFrame] = self.threads.submit(self._encode, frame, turn, levels or self._levels)
        coding.add_done_callback(skip_if_never_begun)
        return asyncio.wrap_future(coding)

    def close(self) -> None:
        """Wait for the frames in work and end the threads, unless they are shared."""
        if not self._shares_threads:
            self.threads.close()

    def _encode(self, frame: CapturedFrame, turn: int, levels: Levels) -> EncodedFrame:
        started = time.perf_counter_ns()
        coded = self._group.encode(
            frame.image, turn, quality=levels.human, machine_quality=levels.machine, slices=self._slices
        )
        encode_us = (time.perf_counter_ns() - started) // 1000
        return EncodedFrame(
            machine=coded.machine,
            enhancement=coded.enhancement,
            slices=self._slices,
            captured_at_ns=frame.captured_at_ns,
            pts_us=frame.pts_us,
            encode_us=encode_us,
            turn=turn,
            key=coded.key,
            changed=coded.changed,
        )
