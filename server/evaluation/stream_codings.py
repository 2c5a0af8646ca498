"""The ways a clip can reach a server: in our groups, in our key frames alone, as a video stream, as single files."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

import shared_models
from server.evaluation.stream_clip import Clip
from server.evaluation.stream_judge import Judge
from shared_models import Codec
from shared_models.bitstream import FrameType
from shared_models.evaluation.peers import PillowPeer
from shared_models.evaluation.rate_distortion import Series
from shared_models.evaluation.stream import GROUPS, KEYS_ALONE, LayerSizes, StreamPoint
from shared_models.evaluation.video_peers import FfmpegStreamPeer
from shared_models.group import GroupConfig, GroupEncoder
from shared_models.reference import Reference

Picture = NDArray[np.uint8]
_LAYERS: Final = "machine layer; with it the enhancement layer, and that of the key frame"
_ONE_STREAM: Final = "for machines and people alike"


class StreamCoding(Protocol):
    """One setting of one codec."""

    @property
    def series(self) -> Series:
        """What the setting is a point of."""

    @property
    def setting(self) -> str:
        """The setting, as it stands in tables."""

    @property
    def identity(self) -> str:
        """All that the figures depend on, but for the clip and its judge."""

    def measure(self, clip: Clip, judge: Judge) -> StreamPoint:
        """Encode the clip and decode what is judged."""


@dataclass(frozen=True)
class Levels:
    """Of both layers."""

    machine: int
    human: int

    def __str__(self) -> str:
        return f"machine {self.machine}, quality {self.human}"


@dataclass(frozen=True)
class Groups:
    """Key frames and frames predicted from them, as the edge sends them."""

    codec: Codec
    levels: Levels
    group: GroupConfig

    @property
    def series(self) -> Series:
        """Ours."""
        return Series(GROUPS, "ours", _LAYERS)

    @property
    def setting(self) -> str:
        """The levels."""
        return str(self.levels)

    @property
    def identity(self) -> str:
        """Model, levels, and the code between them."""
        return f"{GROUPS}, {self.group}, {_ours(self.codec, self.levels)}"

    def measure(self, clip: Clip, judge: Judge) -> StreamPoint:
        """Encode every frame; decode the judged ones against their keys."""
        encoder = GroupEncoder(self.codec, self.group)
        judged = set(judge.places)
        machine_views: dict[int, Picture] = {}
        human_views: dict[int, Picture] = {}
        machine: list[int] = []
        enhancement: list[int] = []
        keys: list[int] = []
        changed: list[float] = []
        places: dict[int, int] = {}
        key_layers = (b"", b"")
        reference: Reference | None = None
        for place, picture in enumerate(clip.pictures()):
            turn = encoder.turn()
            places[turn] = place
            frame = encoder.encode(
                picture, turn, quality=self.levels.human, machine_quality=self.levels.machine
            )
            machine.append(len(frame.machine))
            enhancement.append(len(frame.enhancement))
            keys.append(places[frame.key])
            if frame.frame_type is FrameType.PREDICTED:
                changed.append(frame.changed)
            else:
                key_layers, reference = (frame.machine, frame.enhancement), None
            if place in judged:
                if reference is None:
                    reference = self.codec.reference(*key_layers)
                machine_views[place] = self.codec.decode_machine(frame.machine, reference)
                human_views[place] = self.codec.decode_human(
                    frame.machine, frame.enhancement, reference=reference
                )
        sizes = LayerSizes(tuple(machine), tuple(enhancement), tuple(keys))
        mean = float(np.mean(changed)) if changed else None
        return _layered(self.setting, sizes, judge, machine_views, human_views, mean)


@dataclass(frozen=True)
class KeysAlone:
    """Every frame a key frame. Only the judged ones are coded, for none depends on another."""

    codec: Codec
    levels: Levels

    @property
    def series(self) -> Series:
        """Ours."""
        return Series(KEYS_ALONE, "ours", _LAYERS)

    @property
    def setting(self) -> str:
        """The levels."""
        return str(self.levels)

    @property
    def identity(self) -> str:
        """Model, levels, and the code between them."""
        return f"{KEYS_ALONE}, {_ours(self.codec, self.levels)}"

    def measure(self, clip: Clip, judge: Judge) -> StreamPoint:
        """Encode and decode the judged frames."""
        frames = {
            place: self.codec.encode(
                judge.original(place), quality=self.levels.human, machine_quality=self.levels.machine
            )
            for place in judge.places
        }
        sizes = LayerSizes(
            tuple(len(frame.machine) for frame in frames.values()),
            tuple(len(frame.enhancement) for frame in frames.values()),
            tuple(range(len(frames))),
        )
        machine_views = {place: self.codec.decode_machine(frame.machine) for place, frame in frames.items()}
        human_views = {
            place: self.codec.decode_human(frame.machine, frame.enhancement)
            for place, frame in frames.items()
        }
        return _layered(self.setting, sizes, judge, machine_views, human_views, None)


@dataclass(frozen=True)
class VideoStream:
    """One stream of a video codec for machines and people."""

    peer: FfmpegStreamPeer
    rung: int
    keyint: int

    @property
    def series(self) -> Series:
        """The peer's."""
        return Series(self.peer.name, "peer", f"{self.peer.counts}, {_ONE_STREAM}")

    @property
    def setting(self) -> str:
        """Its dial."""
        return f"{self.peer.dial} {self.rung}"

    @property
    def identity(self) -> str:
        """The peer, its settings and FFmpeg's package."""
        return f"{self.peer!r}, {self.setting}, keyint {self.keyint}, {_software(inspect.getfile(type(self.peer)))}"

    def measure(self, clip: Clip, judge: Judge) -> StreamPoint:
        """Encode every frame; all are decoded, the judged ones kept."""
        stream = self.peer.encode(
            clip.pictures(), self.rung, frame_rate=clip.shape.frame_rate, keyint=self.keyint
        )
        judged = set(judge.places)
        views = {place: view for place, view in enumerate(self.peer.decode(stream)) if place in judged}
        return _single(self.setting, clip.frames, len(stream), judge, views)


@dataclass(frozen=True)
class SingleFiles:
    """Every frame a picture file. Only the judged ones are coded, for none depends on another."""

    peer: PillowPeer
    rung: int

    @property
    def series(self) -> Series:
        """The peer's."""
        return Series(f"{self.peer.name} per frame", "peer", f"{self.peer.counts}, {_ONE_STREAM}")

    @property
    def setting(self) -> str:
        """Its dial."""
        return f"{self.peer.dial} {self.rung}"

    @property
    def identity(self) -> str:
        """The peer, its settings and Pillow."""
        return f"{self.peer!r}, {self.setting}, {_software(inspect.getfile(type(self.peer)))}"

    def measure(self, clip: Clip, judge: Judge) -> StreamPoint:
        """Encode and decode the judged frames."""
        files = {place: self.peer.encode(judge.original(place), self.rung) for place in judge.places}
        views = {place: self.peer.decode(data) for place, data in files.items()}
        return _single(self.setting, len(files), sum(map(len, files.values())), judge, views)


def _layered(
    setting: str,
    sizes: LayerSizes,
    judge: Judge,
    machine_views: dict[int, Picture],
    human_views: dict[int, Picture],
    changed: float | None,
) -> StreamPoint:
    machine_bytes = sum(sizes.machine)
    return StreamPoint(
        setting,
        len(sizes.machine),
        machine_bytes,
        machine_bytes + sum(sizes.enhancement),
        judge.closeness(machine_views, similarity=False),
        judge.closeness(human_views, similarity=True),
        judge.agreement(machine_views),
        sizes,
        changed,
    )


def _single(setting: str, frames: int, size: int, judge: Judge, views: dict[int, Picture]) -> StreamPoint:
    closeness = judge.closeness(views, similarity=True)
    return StreamPoint(setting, frames, size, size, closeness, closeness, judge.agreement(views))


def _ours(codec: Codec, levels: Levels) -> str:
    arithmetic = f"{codec.device}, {codec.dtype}{', analyses in 8 bits' if codec.eight_bit else ''}"
    return f"{levels}, model {codec.predicting_id.hex()}, {arithmetic}, code {_codec_code()}"


@cache
def _codec_code() -> str:
    """Digest of the codec's own modules."""
    digest = hashlib.sha256()
    for path in sorted(Path(shared_models.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _software(source: str) -> str:
    """Versions of what the peers run on, and a digest of a peer's source file."""
    code = hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]
    return f"imageio-ffmpeg {version('imageio-ffmpeg')}, pillow {version('pillow')}, code {code}"
