"""Folders of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SUFFIXES: Final = frozenset({".png", ".webp", ".jpg", ".jpeg"})


def photo_paths(folder: Path) -> list[Path]:
    """PNG, WebP and JPEG files right in `folder`, sorted; none when there is no such folder."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
