"""Pictures of stored frames, as files: decode, then compress in the format that was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from PIL import Image

from secondsight.v1 import frame_pb2
from server.catalogue import HumanLayers, StoredFrame
from server.config import ServerConfig
from server.enhancement import EnhancementSource
from server.errors import SlicesNotStoredError, UndecodableLayerError, ViewsBusyError
from server.kept_in_memory import KeptInMemory
from server.layers import Layers
from server.provenance import Provenance
from shared_models import errors as codec_errors
from shared_models.picture import Picture

_AVIF_SPEED: Final = 8


class View(StrEnum):
    """Which layers a picture is made from."""

    MACHINE = "machine"
    HUMAN = "human"


class ImageFormat(StrEnum):
    """What a picture can be compressed as. JPEG first: it is by far the fastest to make."""

    JPEG = "jpeg"
    WEBP = "webp"
    PNG = "png"
    AVIF = "avif"
    """Slow to make; only for who names it."""

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def ending(self) -> str:
        """Of a file's name."""
        return "jpg" if self is ImageFormat.JPEG else self.value


@dataclass(frozen=True)
class ViewRequest:
    """One view of one frame, with the layers that it takes."""

    view: View
    format: ImageFormat
    slices: int | None
    frame: frame_pb2.Frame
    layers: HumanLayers | None
    """Beside the machine layer, for a human view."""
    width: int | None = None
    """Pixels, that the picture is shrunk to if it is wider."""

    @property
    def enhancement(self) -> bytes:
        """The enhancement layer, empty for a machine view."""
        return b"" if self.layers is None else self.layers.enhancement

    @property
    def digest(self) -> str:
        """Differs whenever the picture's bytes may differ. Predicted layers name those that they are predicted from."""
        digest = hashlib.sha256(f"{self.view} {self.format} {self.slices} {self.width}".encode())
        for layer in (self.frame.machine_layer, self.enhancement):
            digest.update(hashlib.sha256(layer).digest())
        return digest.hexdigest()[:32]


class Views:
    """Makes views, a bounded number at once."""

    def __init__(self, enhancement: EnhancementSource, layers: Layers, config: ServerConfig) -> None:
        self._enhancement = enhancement
        self._layers = layers
        self._config = config
        self._under_way = 0
        self._made: KeptInMemory[str, bytes] = KeptInMemory(config.views_bytes, len)

    async def gather(
        self,
        stored: StoredFrame,
        view: View,
        image_format: ImageFormat,
        slices: int | None,
        wait_s: float | None = None,
        width: int | None = None,
    ) -> ViewRequest:
        """Fetch the layers of a view. A key frame that a machine view needs is fetched when it is made.

        Args:
            wait_s: how long layers may take to come over the camera's uplink, if they wait at its edge.
            width: pixels that the picture is shrunk to if it is wider.

        Raises:
            EnhancementError: the human view was asked for and cannot be had.
            EnhancementUnavailableError: likewise, for now.
            KeyFrameGoneError: likewise.
            StoreUnavailableError
        """
        human = view is View.HUMAN
        return ViewRequest(
            view=view,
            format=image_format,
            slices=slices if human else None,
            frame=stored.frame,
            layers=await self._enhancement.human_layers(stored, wait_s) if human else None,
            width=width,
        )

    async def make(self, request: ViewRequest) -> bytes:
        """The view as a file, which is kept a while: whoever looks again has it at once.

        Raises:
            ViewsBusyError: too many are being made.
            SlicesNotStoredError: the enhancement layer has fewer slices than asked for.
            UndecodableLayerError: the layers are damaged or do not belong together.
            KeyFrameGoneError
            StoreUnavailableError
            DecodingFailedError: the codec failed.
        """
        name = request.digest
        kept = self._made.find(name)
        if kept is not None:
            return kept
        async with self._place():
            picture = await self.picture(request)
            made = await asyncio.to_thread(self.compress, picture, request.format, request.width)
        self._made.keep(name, made)
        return made

    async def make_download(self, request: ViewRequest, provenance: Provenance) -> bytes:
        """The view as a file that says where it comes from. Raises as `make` does."""
        async with self._place():
            picture = await self.picture(request)
            return await asyncio.to_thread(self.compress, picture, request.format, request.width, provenance)

    async def measure(self, request: ViewRequest, measure: Callable[[Picture], int]) -> int:
        """What `measure` says of the view's pixels, in a thread of its own. Raises as `make` does."""
        async with self._place():
            return await asyncio.to_thread(measure, await self.picture(request))

    async def picture(self, request: ViewRequest, *, keep: bool = True) -> Picture:
        """The view's pixels, whoever else waits. Raises as `make` does, but for ViewsBusyError.

        Args:
            keep: in memory, because somebody else may want to see it soon.
        """
        try:
            return await self._decode(request, keep)
        except codec_errors.SlicesError as error:
            if request.slices is None:
                raise UndecodableLayerError(error) from error
            raise SlicesNotStoredError(request.slices, error) from error
        except codec_errors.CodecError as error:
            raise UndecodableLayerError(error) from error

    async def _decode(self, request: ViewRequest, keep: bool) -> Picture:
        if request.layers is None:
            return await self._layers.machine_view(request.frame, keep=keep)
        return await self._layers.human_view(request.frame, request.layers, request.slices)

    def compress(
        self,
        picture: Picture,
        image_format: ImageFormat,
        width: int | None = None,
        provenance: Provenance | None = None,
    ) -> bytes:
        """A picture as a file, shrunk to `width` if it is wider. Takes a while: call it off the event loop."""
        image, file = Image.fromarray(picture), io.BytesIO()
        if width is not None and width < image.width:
            height = max(1, round(image.height * width / image.width))
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        quality: dict[ImageFormat, dict[str, Any]] = {
            ImageFormat.JPEG: {"quality": self._config.jpeg_quality},
            ImageFormat.WEBP: {"quality": self._config.webp_quality},
            ImageFormat.PNG: {},
            ImageFormat.AVIF: {"quality": self._config.avif_quality, "speed": _AVIF_SPEED, "max_threads": 1},
        }
        told = {} if provenance is None else provenance.options(image_format)
        image.save(file, image_format.value, **quality[image_format], **told)
        return file.getvalue()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._under_way >= self._config.views_at_once:
            raise ViewsBusyError(self._config.view_retry_after)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
