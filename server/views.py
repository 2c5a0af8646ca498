"""Pictures of stored frames, as files: decode, then compress in the format that was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image

from server.catalogue import Catalogue, StoredFrame
from server.config import ServerConfig
from server.errors import SlicesNotStoredError, UndecodableLayerError, ViewsBusyError
from server.layers import Layers, Picture
from shared_models import errors as codec_errors


class View(StrEnum):
    """Which layers a picture is made from."""

    MACHINE = "machine"
    HUMAN = "human"


class ImageFormat(StrEnum):
    """What a picture can be compressed as. JPEG first: it is by far the fastest to make."""

    JPEG = "jpeg"
    WEBP = "webp"
    PNG = "png"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"


@dataclass(frozen=True)
class ViewRequest:
    """One view of one frame, with the layers that it takes."""

    view: View
    format: ImageFormat
    slices: int | None
    machine: bytes
    enhancement: bytes

    @property
    def digest(self) -> str:
        """Differs whenever the picture's bytes may differ."""
        digest = hashlib.sha256(f"{self.view} {self.format} {self.slices}".encode())
        for layer in (self.machine, self.enhancement):
            digest.update(hashlib.sha256(layer).digest())
        return digest.hexdigest()[:32]


class Views:
    """Makes views, a bounded number at once."""

    def __init__(self, catalogue: Catalogue, layers: Layers, config: ServerConfig) -> None:
        self._catalogue = catalogue
        self._layers = layers
        self._config = config
        self._under_way = 0

    async def gather(
        self, stored: StoredFrame, view: View, image_format: ImageFormat, slices: int | None
    ) -> ViewRequest:
        """Fetch the layers of a view.

        Raises:
            EnhancementError: the human view was asked for and cannot be had.
            StoreUnavailableError
        """
        human = view is View.HUMAN
        return ViewRequest(
            view=view,
            format=image_format,
            slices=slices if human else None,
            machine=stored.frame.machine_layer,
            enhancement=await self._catalogue.enhancement(stored) if human else b"",
        )

    async def make(self, request: ViewRequest) -> bytes:
        """The view as a file.

        Raises:
            ViewsBusyError: too many are being made.
            SlicesNotStoredError: the enhancement layer has fewer slices than asked for.
            UndecodableLayerError: the layers are damaged or do not belong together.
            DecodingFailedError: the codec failed.
        """
        async with self._place():
            try:
                picture = await self._decode(request)
            except codec_errors.SlicesError as error:
                raise SlicesNotStoredError(request.slices or 0, error) from error
            except codec_errors.CodecError as error:
                raise UndecodableLayerError(error) from error
            return await asyncio.to_thread(self._compress, picture, request.format)

    async def _decode(self, request: ViewRequest) -> Picture:
        if request.view is View.MACHINE:
            return await self._layers.machine_view(request.machine)
        return await self._layers.human_view(request.machine, request.enhancement, request.slices)

    def _compress(self, picture: Picture, image_format: ImageFormat) -> bytes:
        file = io.BytesIO()
        quality = {
            ImageFormat.JPEG: {"quality": self._config.jpeg_quality},
            ImageFormat.WEBP: {"quality": self._config.webp_quality},
            ImageFormat.PNG: {},
        }
        Image.fromarray(picture).save(file, image_format.value, **quality[image_format])
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
