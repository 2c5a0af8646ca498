"""What a task recognises with, as its worker tells the servers over the store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ToldRecogniser:
    """Of the worker that has begun last.

    Attributes:
        device: where it runs, `cpu` or `cuda`.
        inputs: what becomes of a picture before the model sees it, in words.
    """

    task: str
    recogniser: str
    labels: tuple[str, ...]
    device: str
    inputs: str

    def line(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_line(cls, line: bytes) -> ToldRecogniser:
        """Read what `line` wrote."""
        values = json.loads(line)
        return cls(**values | {"labels": tuple(values["labels"])})
