"""What the demo shows, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoConfig:
    """Settings of one demo.

    Attributes:
        source: what the edge reads; None is the packaged clip.
        frames: captured frames after which the demo is over.
        frame_rate: at most so many frames per second of the source.
        speed: pace of a recording, 1 being its own. With `frame_rate` it makes three frames per second, which two
            cores carry through encoder, decoder and recogniser with room for human views: what is measured is then
            the time that a frame takes, not the length of a queue.
        max_side: larger frames are scaled down to this longer side, pixels.
        views: frames that the operator looks at, spread over the run.
        quality: level of the human view; None is the codec's default.
        patience_s: the demo fails when nothing was recognised for so long.
        serve: keep running afterwards, with the source in a loop.
    """

    out: Path = Path("demo-out")
    source: str | None = None
    frames: int = 120
    frame_rate: float = 12.5
    speed: float = 0.24
    max_side: int = 1280
    views: int = 10
    quality: int | None = None
    patience_s: float = 90.0
    serve: bool = False
    camera_id: str = "demo"
    http_port: int = 8080
