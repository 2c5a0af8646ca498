"""Zip files written entry by entry, of any size (Zip64), with a manifest at the end."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from server.jobs.json_document import JsonDocument

MEDIA_TYPE: Final = "application/zip"
MANIFEST: Final = "manifest.json"
_FRAMES: Final = "frames"
_EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
"""That a zip file can tell."""


class Bundle:
    """A zip file under way. Pictures and bitstreams are stored as they are: they do not get smaller."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip = zipfile.ZipFile(path, "w", allowZip64=True)
        self._manifest = JsonDocument(path.parent, [_FRAMES])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manifest.__exit__(kind, error, trace)
        self._zip.close()

    def add(self, name: str, content: bytes, captured_ns: int) -> dict[str, Any]:
        """Put in a file of a frame; gives what the manifest tells of it."""
        moment = max(datetime.fromtimestamp(captured_ns / 1e9, UTC), _EARLIEST)
        entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, content)
        return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def add_file(self, name: str, path: Path) -> None:
        """Put in a file from the disk, compressed if it is text."""
        packing = zipfile.ZIP_DEFLATED if path.suffix == ".json" else zipfile.ZIP_STORED
        self._zip.write(path, name, compress_type=packing)

    def list(self, about: Mapping[str, Any]) -> None:
        """Tell of a frame in the manifest."""
        self._manifest.add(_FRAMES, about)

    def finish(self, about: Mapping[str, Any]) -> None:
        """Put in the manifest: what is told of the whole, then the frames."""
        path = self._path.parent / MANIFEST
        self._manifest.finish(path, about)
        self.add_file(MANIFEST, path)
        path.unlink()
