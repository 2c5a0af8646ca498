"""From layers to pictures, off the event loop.

A predicted frame is decoded against its key frame, which is fetched and decoded when it is not in memory: after a
restart, in another worker, or when other cameras have taken its place.

Recognition and REST share one lane to the codec: on few cores two decodings at once would only slow each other down,
and memory stays bounded. A machine view that was just decoded for one of them is kept a while for the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Protocol, TypeVar

from secondsight.v1 import frame_pb2
from server import metrics
from server.catalogue import HumanLayers, KeyLayers, key_frame_of
from server.errors import DecodingFailedError
from server.groups import KeyFrame
from server.kept_in_memory import KeptInMemory
from server.references import References
from shared_models import Header
from shared_models import errors as codec_errors
from shared_models.picture import Picture
from shared_models.reference import Reference

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Codec(Protocol):
    """What the server needs of `shared_models.load_codec`'s codec."""

    @property
    def predicting_id(self) -> bytes: ...
    def inspect(self, machine: bytes, /) -> Header: ...
    def reference(self, machine: bytes, enhancement: bytes | None = None, /) -> Reference: ...
    def decode_machine(self, machine: bytes, /, reference: Reference | None = None) -> Picture: ...
    def decode_human(
        self,
        machine: bytes,
        enhancement: bytes,
        /,
        slices: int | None = None,
        reference: Reference | None = None,
    ) -> Picture: ...


class KeyFrames(Protocol):
    """Where key frames come from that are not in memory."""

    def key_layers(self, frame: frame_pb2.Frame, /) -> Awaitable[KeyLayers]: ...


class Layers:
    """The codec, for coroutines.

    Pictures are uint8 HxWx3 RGB. They may be shared: do not write to them.
    """

    def __init__(self, codec: Codec, keys: KeyFrames, *, pictures_bytes: int, references_bytes: int) -> None:
        self._codec = codec
        self._keys = keys
        self._references = References(references_bytes)
        self._pictures: KeptInMemory[bytes, Picture] = KeptInMemory(
            pictures_bytes, lambda picture: picture.nbytes
        )
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="codec")
        self._calls = 0
        self._free = asyncio.Event()
        self._free.set()

    async def idle(self, within: float) -> None:
        """Wait until nobody needs the codec, or `within` seconds: what nobody waits for goes behind what is live."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._calls:
                    await self._free.wait()

    async def machine_view(self, frame: frame_pb2.Frame, *, keep: bool = True) -> Picture:
        """What the machine layer alone shows.

        Args:
            keep: somebody else may want to see it soon.

        Raises:
            shared_models.errors.CodecError: it cannot be decoded, or not against the key frame that is stored.
            KeyFrameGoneError
            StoreUnavailableError: the key frame is needed from there.
            DecodingFailedError: the codec failed.
        """
        digest = _digest(frame)
        kept = self._pictures.find(digest)
        if kept is not None:
            return kept
        machine = frame.machine_layer
        reference = await self._reference(frame, None)
        picture = await self._timed(
            metrics.DECODE_SECONDS.observe, lambda: self._codec.decode_machine(machine, reference=reference)
        )
        if keep:
            self._pictures.keep(digest, picture)
        return picture

    async def human_view(self, frame: frame_pb2.Frame, layers: HumanLayers, slices: int | None) -> Picture:
        """Both layers fused, from the first `slices` slices of the enhancement, or all of them.

        Raises:
            shared_models.errors.CodecError: they cannot be decoded, or do not belong together.
            DecodingFailedError: the codec failed.
        """
        machine = frame.machine_layer
        reference = await self._reference(frame, layers.key)
        return await self._timed(
            metrics.HUMAN_VIEW_SECONDS.observe,
            lambda: self._codec.decode_human(machine, layers.enhancement, slices=slices, reference=reference),
        )

    def close(self) -> None:
        """Let the call under way end and take no more."""
        self._lane.shutdown(wait=True, cancel_futures=True)

    async def _reference(self, frame: frame_pb2.Frame, layers: KeyLayers | None) -> Reference | None:
        """What a frame is predicted from: for a human view with `layers`, which are fetched already."""
        if not frame.reference_sequence:
            return None
        place = (frame.reference_session, frame.reference_sequence)
        name = self._codec.inspect(frame.machine_layer).reference
        kept = self._references.find(frame.id.camera_id, KeyFrame(*place, name))
        if kept is not None and (layers is None or kept.has_enhancement):
            metrics.REFERENCES.labels("hit").inc()
            return kept
        metrics.REFERENCES.labels("miss").inc()
        fetched = await self._keys.key_layers(frame) if layers is None else layers
        reference = await self._timed(
            metrics.REFERENCE_SECONDS.observe,
            lambda: self._codec.reference(fetched.machine, fetched.enhancement),
        )
        # Under its own name. If that is not the one asked for, decoding against it will say so.
        self._references.keep(frame.id.camera_id, KeyFrame(*place, reference.name), reference)
        return reference

    async def _timed(self, observe: Callable[[float], None], decode: Callable[[], _T]) -> _T:
        def call() -> _T:
            begun = perf_counter()
            try:
                decoded = decode()
            except codec_errors.CodecError:
                raise
            except Exception as error:
                # Torch raises what it likes, out of memory among it: that is one frame's failure, not the server's.
                _log.exception("the codec failed")
                raise DecodingFailedError(error) from error
            observe(perf_counter() - begun)
            return decoded

        self._calls += 1
        self._free.clear()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lane, call)
        finally:
            self._calls -= 1
            if not self._calls:
                self._free.set()


def _digest(frame: frame_pb2.Frame) -> bytes:
    """Differs whenever the machine views of two frames may differ. The layer itself need not be kept for it.

    A predicted layer names what it was coded against, by checksums. So its bytes would do among honest edges; with the
    key frame's place, a forged one of another camera does no harm.
    """
    digest = hashlib.sha256(frame.machine_layer)
    key_frame = key_frame_of(frame)
    if key_frame is not None:
        digest.update(f"{frame.id.camera_id} {key_frame}".encode())
    return digest.digest()
