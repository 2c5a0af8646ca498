"""The ways a photo can reach a recogniser: as it is, through our codec, through another one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from server.evaluation.cache import Cache, Stream, picture_digest
from server.evaluation.half_size import HalfSize
from server.evaluation.photos import Photo
from shared_models import Codec
from shared_models.evaluation.peers import AVIF, JPEG, WEBP
from shared_models.evaluation.video_peers import VVC_FASTER

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Coded:
    """A photo that was coded: how many bytes were needed, the digest of what comes out, and how to have it."""

    size: int
    digest: str
    picture: Callable[[], Picture]


class Coding(Protocol):
    """One setting of one codec."""

    @property
    def setting(self) -> str:
        """The setting, as it stands in tables."""

    def code(self, photo: Photo) -> Coded:
        """Encode and decode a photo."""


@dataclass(frozen=True)
class Original:
    """The photo as it is. No size is told, for the photos are files of another codec."""

    setting: str = "as it is"

    def code(self, photo: Photo) -> Coded:
        """The photo's own pixels."""
        pixels = photo.read()
        return Coded(0, picture_digest(pixels), lambda: pixels)


@dataclass(frozen=True)
class MachineView:
    """Our machine layer alone, at one level."""

    codec: Codec
    level: int

    @property
    def setting(self) -> str:
        """The level."""
        return f"level {self.level}"

    def code(self, photo: Photo) -> Coded:
        """Encode the machine layer and decode it."""
        machine = self.codec.encode(photo.read(), machine_quality=self.level, slices=1).machine
        view = self.codec.decode_machine(machine)
        return Coded(len(machine), picture_digest(view), lambda: view)


@dataclass(frozen=True)
class HumanView:
    """Both layers at one quality, the machine layer at its default level."""

    codec: Codec
    quality: int

    @property
    def setting(self) -> str:
        """The quality."""
        return f"quality {self.quality}"

    def code(self, photo: Photo) -> Coded:
        """Encode both layers and decode the human view."""
        frame = self.codec.encode(photo.read(), quality=self.quality)
        view = self.codec.decode_human(frame.machine, frame.enhancement)
        return Coded(len(frame.machine) + len(frame.enhancement), picture_digest(view), lambda: view)


class PictureCodec(Protocol):
    """A peer, as far as it is needed here."""

    @property
    def name(self) -> str:
        """Codec and settings."""

    def encode(self, image: Picture, quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to all the bytes that `decode` needs."""

    def decode(self, data: bytes) -> Picture:
        """Bytes to (H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class PeerView:
    """A peer at one quality, its streams kept in the cache."""

    codec: PictureCodec
    quality: int
    cache: Cache

    @property
    def setting(self) -> str:
        """The quality."""
        return f"q{self.quality}"

    def code(self, photo: Photo) -> Coded:
        """Encode and decode, unless that was done before."""
        decoded = functools.cache(self.codec.decode)

        def make() -> Stream:
            data = self.codec.encode(photo.read(), self.quality)
            return Stream(data, picture_digest(decoded(data)))

        stream = self.cache.stream(self.codec.name, self.quality, photo.digest, make)
        return Coded(len(stream.data), stream.picture, lambda: decoded(stream.data))


@dataclass(frozen=True)
class Contestant:
    """A peer with the qualities that lead to the rates of machine layers."""

    codec: PictureCodec
    ladder: tuple[int, ...]

    def views(self, cache: Cache) -> list[Coding]:
        """Its settings."""
        return [PeerView(self.codec, quality, cache) for quality in self.ladder]


CONTESTANTS: Final = (
    Contestant(JPEG, (1, 3, 5, 8, 12)),
    Contestant(WEBP, (0, 1, 3, 5, 10)),
    Contestant(AVIF, (5, 10, 15, 20, 25)),
    Contestant(HalfSize(WEBP), (5, 20, 35, 50, 65)),
    # Preset medium, with which rate and distortion are measured, would take most of an hour here, on one core.
    Contestant(VVC_FASTER, (40, 42, 44, 46, 48)),
)
