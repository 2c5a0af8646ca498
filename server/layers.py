"""From layers to pictures, off the event loop.

Recognition and REST share one lane to the codec: on few cores two decodings at once would only slow each other down,
and memory stays bounded. A machine view that was just decoded for one of them is kept a while for the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server import metrics
from server.errors import DecodingFailedError
from shared_models import Header
from shared_models import errors as codec_errors

Picture = NDArray[np.uint8]

_log = logging.getLogger(__name__)


class Codec(Protocol):
    """What the server needs of `shared_models.load_codec`'s codec."""

    @property
    def model_id(self) -> bytes: ...
    def inspect(self, machine: bytes, /) -> Header: ...
    def decode_machine(self, machine: bytes, /) -> Picture: ...
    def decode_human(self, machine: bytes, enhancement: bytes, /, slices: int | None = None) -> Picture: ...


class Layers:
    """The codec, for coroutines.

    Pictures are uint8 HxWx3 RGB. They may be shared: do not write to them.
    """

    def __init__(self, codec: Codec, *, pictures_bytes: int) -> None:
        self._codec = codec
        self._pictures_bytes = pictures_bytes
        self._kept_bytes = 0
        self._pictures: OrderedDict[bytes, Picture] = OrderedDict()
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="codec")

    async def machine_view(self, machine: bytes) -> Picture:
        """What the machine layer alone shows.

        Raises:
            shared_models.errors.CodecError: it cannot be decoded.
            DecodingFailedError: the codec failed.
        """
        # A small picture may come as a large layer, so the layer itself is not kept.
        digest = hashlib.sha256(machine).digest()
        kept = self._pictures.get(digest)
        if kept is not None:
            self._pictures.move_to_end(digest)
            return kept
        picture = await self._timed(
            metrics.DECODE_SECONDS.observe, lambda: self._codec.decode_machine(machine)
        )
        self._keep(digest, picture)
        return picture

    async def human_view(self, machine: bytes, enhancement: bytes, slices: int | None) -> Picture:
        """Both layers fused, from the first `slices` slices of the enhancement, or all of them.

        Raises:
            shared_models.errors.CodecError: they cannot be decoded, or do not belong together.
            DecodingFailedError: the codec failed.
        """
        return await self._timed(
            metrics.HUMAN_VIEW_SECONDS.observe,
            lambda: self._codec.decode_human(machine, enhancement, slices=slices),
        )

    def close(self) -> None:
        """Let the call under way end and take no more."""
        self._lane.shutdown(wait=True, cancel_futures=True)

    def _keep(self, digest: bytes, picture: Picture) -> None:
        if digest not in self._pictures:
            self._pictures[digest] = picture
            self._kept_bytes += picture.nbytes
        while self._kept_bytes > self._pictures_bytes:
            _, oldest = self._pictures.popitem(last=False)
            self._kept_bytes -= oldest.nbytes

    async def _timed(self, observe: Callable[[float], None], decode: Callable[[], Picture]) -> Picture:
        def call() -> Picture:
            begun = perf_counter()
            try:
                picture = decode()
            except codec_errors.CodecError:
                raise
            except Exception as error:
                # Torch raises what it likes, out of memory among it: that is one frame's failure, not the server's.
                _log.exception("the codec failed")
                raise DecodingFailedError(error) from error
            observe(perf_counter() - begun)
            return picture

        return await asyncio.get_running_loop().run_in_executor(self._lane, call)
