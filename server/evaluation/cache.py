"""What need not be computed twice: peers' streams, what recognisers saw in a picture, figures of whole clips."""

from __future__ import annotations

import hashlib
import inspect
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from server.recognition import Detection, Keypoint, Mask, Recogniser
from server.recognition.looking import look

_FILE: Final = "recognition.sqlite"
_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS streams (
        codec TEXT, quality INTEGER, photo TEXT, stream BLOB, picture TEXT, PRIMARY KEY (codec, quality, photo)
    );
    CREATE TABLE IF NOT EXISTS detections (
        recogniser TEXT, picture TEXT, found TEXT, PRIMARY KEY (recogniser, picture)
    );
    CREATE TABLE IF NOT EXISTS clips (coding TEXT, clip TEXT, figures TEXT, PRIMARY KEY (coding, clip));
"""
_BUSY_SECONDS: Final = 60


@dataclass(frozen=True)
class Stream:
    """A coded photo, and the digest of the picture that comes out of it."""

    data: bytes
    picture: str


class Cache:
    """A file in a folder, or nothing that outlives the process when there is no folder.

    Streams go by codec, quality and photo; detections by recogniser and the pixels that it saw. Both outlive a change
    of our weights; a change of a recogniser's code or network's name makes new entries.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else str(folder / _FILE)
        self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        self._database.executescript(_TABLES)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def stream(self, codec: str, quality: int, photo: str, make: Callable[[], Stream]) -> Stream:
        """The stream of a photo, by the digest of its file; `make` is called when it is not known yet."""
        key = (codec, quality, photo)
        row = self._database.execute(
            "SELECT stream, picture FROM streams WHERE codec = ? AND quality = ? AND photo = ?", key
        ).fetchone()
        if row is not None:
            return Stream(*row)
        made = make()
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?)", (*key, made.data, made.picture)
            )
        return made

    def detections(
        self, recogniser: Recogniser, digest: str, picture: Callable[[], NDArray[np.uint8]]
    ) -> list[Detection]:
        """What the recogniser sees in a picture, which is made and looked at when its digest is not known yet."""
        key = (identity_of(recogniser), digest)
        row = self._database.execute(
            "SELECT found FROM detections WHERE recogniser = ? AND picture = ?", key
        ).fetchone()
        if row is not None:
            return [_detection(*found) for found in json.loads(row[0])]
        (seen,) = look(recogniser, [picture()])
        made = list(seen.detections)
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO detections VALUES (?, ?, ?)",
                (*key, json.dumps([_as_json(found) for found in made])),
            )
        return made

    def figures(self, coding: str, clip: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What was measured of a coded clip, both by all that it depends on; made when it is not known yet."""
        row = self._database.execute(
            "SELECT figures FROM clips WHERE coding = ? AND clip = ?", (coding, clip)
        ).fetchone()
        if row is not None:
            known: dict[str, Any] = json.loads(row[0])
            return known
        made = make()
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO clips VALUES (?, ?, ?)", (coding, clip, json.dumps(made))
            )
        return made


def _as_json(found: Detection) -> list[Any]:
    mask = found.mask
    return [
        [found.label, found.score, found.x_min, found.y_min, found.x_max, found.y_max],
        None if mask is None else [mask.height, mask.width, mask.counts.decode("ascii")],
        [astuple(point) for point in found.keypoints],
    ]


def _detection(box: list[Any], mask: list[Any] | None, keypoints: list[list[Any]]) -> Detection:
    return Detection(
        *box,
        mask=None if mask is None else Mask(mask[0], mask[1], mask[2].encode("ascii")),
        keypoints=tuple(Keypoint(*point) for point in keypoints),
    )


def picture_digest(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of a picture's shape and samples."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def identity_of(recogniser: Recogniser) -> str:
    """Name of the model and digest of the code around it."""
    code = Path(inspect.getfile(type(recogniser))).read_bytes()
    return f"{recogniser.name} {hashlib.sha256(code).hexdigest()[:16]}"
