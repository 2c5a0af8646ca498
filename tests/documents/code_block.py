"""The code blocks of a document, and what is to be done with each.

A block's info string says its language and, behind it, how it is run; renderers show the language alone::

    ```sh                      in the document's own folder, after the blocks before it
    ```sh background           goes on until the document ends
    ```sh patient              again and again until it succeeds
    ```sh not run: REASON      only shown
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from markdown_it import MarkdownIt

LANGUAGES = frozenset({"", "sh", "python", "yaml", "toml", "json", "ini", "sql", "proto"})
_NOT_RUN = "not run:"


class Manner(StrEnum):
    """How a block is run."""

    ONCE = "once"
    BACKGROUND = "background"
    PATIENT = "patient"
    SHOWN = "not run"


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block; `line` is that of its fence, `why_not` the reason of one that is only shown."""

    path: Path
    line: int
    language: str
    manner: Manner
    why_not: str
    code: str


class UnknownBlockError(ValueError):
    """An info string that says nothing of the above."""


def blocks_of(path: Path) -> Iterator[CodeBlock]:
    """The blocks of a document, in order.

    Raises:
        UnknownBlockError
    """
    for token in MarkdownIt().parse(path.read_text()):
        if token.type != "fence" or token.map is None:
            continue
        language, _, rest = token.info.strip().partition(" ")
        manner, why_not = _manner(rest.strip())
        if language not in LANGUAGES or manner is None or (manner is Manner.SHOWN and not why_not):
            raise UnknownBlockError(
                f"{path.name}:{token.map[0] + 1}: ```{token.info} is no known kind of block"
            )
        yield CodeBlock(path, token.map[0] + 1, language, manner, why_not, token.content)


def _manner(rest: str) -> tuple[Manner | None, str]:
    if rest.startswith(_NOT_RUN):
        return Manner.SHOWN, rest.removeprefix(_NOT_RUN).strip()
    if rest in (Manner.BACKGROUND, Manner.PATIENT):
        return Manner(rest), ""
    return (Manner.ONCE, "") if not rest else (None, "")
