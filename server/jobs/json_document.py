"""JSON documents with long arrays, written item by item so that memory stays flat."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self


class JsonDocument:
    """An object whose arrays grow side by side, each in a file of its own until `finish`."""

    def __init__(self, folder: Path, arrays: Iterable[str]) -> None:
        self._files = ExitStack()
        self._arrays: dict[str, BinaryIO] = {}
        self._empty = set(arrays)
        for name in sorted(self._empty):
            path = folder / f".{name}.part"
            self._arrays[name] = self._files.enter_context(path.open("w+b"))
            # It has a name for as long as it takes to open it.
            path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, array: str, item: Mapping[str, Any]) -> None:
        """Append to an array."""
        file = self._arrays[array]
        if array not in self._empty:
            file.write(b",\n")
        self._empty.discard(array)
        file.write(json.dumps(item, separators=(",", ":")).encode())

    def bytes(self) -> int:
        """Of all arrays so far."""
        return sum(file.tell() for file in self._arrays.values())

    def finish(self, path: Path, head: Mapping[str, Any]) -> None:
        """Write the document: what `head` has, then the arrays."""
        with path.open("wb") as document:
            document.write(json.dumps(head, indent=1).removesuffix("\n}").encode())
            for name, file in self._arrays.items():
                document.write(b",\n%s: [\n" % json.dumps(name).encode())
                file.seek(0)
                shutil.copyfileobj(file, document)
                document.write(b"\n]")
            document.write(b"\n}\n")
