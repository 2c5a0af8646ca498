"""The masks of a whole set of photos, in a folder with a manifest."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from shared_models.errors import MaskError, PhotoError
from shared_models.masks.method import EdgeMethod
from shared_models.masks.widening import widened
from shared_models.photo_file import read_mask, read_photo, write_mask
from shared_models.photo_folder import PhotoSet

MANIFEST: Final = "manifest.csv"
_FOREIGN: Final = "unknown"


@dataclass(frozen=True)
class Row:
    """A mask in the manifest: its file, relative to the folder, how it was made and which share of it is white."""

    file: str
    method: str
    white: float


@dataclass(frozen=True)
class Outcome:
    """`made` and `kept` masks, and why photos were `skipped`."""

    made: int
    kept: int
    skipped: tuple[str, ...]


def make_masks(
    photos: PhotoSet, method: EdgeMethod, width: int, out: Path, report: Callable[[int, int], None]
) -> Outcome:
    """Write one 1-bit PNG per photo, of its size and below the same folders, white on edges.

    Masks that exist already are kept, so that a call that was interrupted goes on when repeated.

    Args:
        photos: of which.
        method: finds the edges.
        width: of the white lines, pixels of the photo as training reads it.
        out: receives masks and ``manifest.csv``.
        report: called with the number of photos done and their total.

    Raises:
        MaskError: two photos would have the same mask, or none could be read.
    """
    _expect_distinct(photos, out)
    out.mkdir(parents=True, exist_ok=True)
    rows = _manifest(out)
    made, kept, skipped = 0, 0, []
    with _Journal(out / MANIFEST) as journal:
        for count, path in enumerate(photos.paths, start=1):
            mask = photos.mask_of(path, out)
            name = mask.relative_to(out).as_posix()
            try:
                if mask.exists():
                    kept += 1
                    if name not in rows:
                        rows[name] = journal.add(Row(name, _FOREIGN, _white(read_mask(mask))))
                else:
                    edges = widened(method.lines(read_photo(path)), width)
                    # The manifest first: a row without a mask is made good by the next call.
                    rows[name] = journal.add(Row(name, method.name, _white(edges)))
                    write_mask(edges, path, mask)
                    made += 1
            except PhotoError as error:
                skipped.append(str(error))
            report(count, len(photos.paths))
    _write_manifest(out, rows)
    if not made and not kept:
        raise MaskError(f"no photo in {photos.folder} can be used: {skipped[0]}")
    return Outcome(made, kept, tuple(skipped))


class _Journal:
    """Appends rows to the manifest as they come."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._file = path.open("a", newline="")
        self._writer = csv.writer(self._file)
        if new:
            self._writer.writerow(field.name for field in fields(Row))

    def __enter__(self) -> _Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: Row) -> Row:
        self._writer.writerow(asdict(row).values())
        self._file.flush()
        return row


def _manifest(out: Path) -> dict[str, Row]:
    path = out / MANIFEST
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        try:
            rows = [Row(row["file"], row["method"], float(row["white"])) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise MaskError(f"{path} is no manifest of masks ({error}): remove it") from error
    return {row.file: row for row in rows}


def _write_manifest(out: Path, rows: dict[str, Row]) -> None:
    temporary = out / f"{MANIFEST}.part"
    temporary.unlink(missing_ok=True)
    with _Journal(temporary) as journal:
        for name in sorted(rows):
            journal.add(rows[name])
    temporary.replace(out / MANIFEST)


def _white(mask: np.ndarray) -> float:
    return round(float(mask.mean()), 4)


def _expect_distinct(photos: PhotoSet, out: Path) -> None:
    owners: dict[Path, Path] = {}
    for path in photos.paths:
        mask = photos.mask_of(path, out)
        if mask in owners:
            raise MaskError(
                f"{owners[mask]} and {path} would share the mask {mask.name}: give them different stems"
            )
        owners[mask] = path
