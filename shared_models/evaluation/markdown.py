"""Texts with tables and pictures, written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

_NUMBER: Final = re.compile(r"([+-]?\d[\d.]*( \([^()]*\))?|–|)")
_UNSAFE: Final = re.compile(r"[^\w.-]+", re.ASCII)
_ESCAPED: Final = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"})


@dataclass
class Report:
    """Markdown, and the pictures that it shows, by their paths beside it; `folder` is where those are."""

    folder: str
    lines: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All of the Markdown."""
        return "\n".join(self.lines).rstrip() + "\n"

    def heading(self, level: int, text: str) -> None:
        """A heading."""
        self._block(f"{'#' * level} {text}")

    def paragraph(self, text: str) -> None:
        """A paragraph; what comes out of a file has to be `escaped`."""
        self._block(text)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table of Markdown cells, whose first column names the rows; columns of numbers stand at the right."""
        body = list(rows)
        columns = zip(*body, strict=True)
        rules = ["---:" if all(map(_NUMBER.fullmatch, column)) else "---" for column in columns]
        self._block("\n".join(map(_row, [header, rules, *body])))

    def picture(self, name: str, data: bytes, alt: str) -> None:
        """A picture that stands alone."""
        path = f"{self.folder}/{_UNSAFE.sub('-', name)}"
        self.pictures[path] = data
        self._block(f"![{escaped(alt)}]({path})")

    def _block(self, text: str) -> None:
        self.lines += [text, ""]


def escaped(text: str) -> str:
    """Text as Markdown that shows just this text."""
    return text.translate(_ESCAPED)


def as_code(text: str) -> str:
    """Text as Markdown's code, also within a table."""
    return f"`{text.replace('|', chr(92) + '|').replace('`', chr(39))}`"


def or_dash(value: float | None, form: str) -> str:
    """A value, or what stands where there is none."""
    return "–" if value is None else format(value, form)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
