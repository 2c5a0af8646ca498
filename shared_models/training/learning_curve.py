"""The learning curve of a run: CSV for tables, TensorBoard for watching."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from torch.utils.tensorboard import SummaryWriter

TENSORBOARD: Final = "tensorboard"


class LearningCurve:
    """A CSV file that grows by a row at a time, and the same figures as TensorBoard's scalars.

    Columns are those of the first row, the first of them `step`. Rows beyond step `last`, which an interrupted run left
    behind its checkpoint, are dropped on opening, and so is one that was cut short.

    Args:
        path: the CSV file; TensorBoard's lie in the folder `tensorboard` beside it, under the file's stem.
        last: step at which the run goes on.
    """

    def __init__(self, path: Path, last: int) -> None:
        found = path.read_text().splitlines(keepends=True) if path.exists() else []
        lines = [line for line in found if line.endswith("\n")]
        kept = lines[:1] + [line for line in lines[1:] if int(line.partition(",")[0]) <= last]
        temporary = path.with_suffix(".part")
        temporary.write_text("".join(kept))
        temporary.replace(path)
        self._file = path.open("a", newline="")
        self._writer: csv.DictWriter[str] | None = None
        self._empty = not kept
        self._group = path.stem
        self._board = SummaryWriter(str(path.parent / TENSORBOARD / path.stem), purge_step=last + 1)

    def __enter__(self) -> LearningCurve:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()
        self._board.close()

    def add(self, row: dict[str, float]) -> None:
        """Append `row`."""
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            if self._empty:
                self._writer.writeheader()
        self._writer.writerow(
            {name: value if name == "step" else f"{value:.6g}" for name, value in row.items()}
        )
        self._file.flush()
        for name, value in row.items():
            if name != "step":
                self._board.add_scalar(f"{self._group}/{name}", value, int(row["step"]))
