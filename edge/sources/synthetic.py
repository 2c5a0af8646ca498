"""A camera that is not there: a scene made of numbers, to try an installation and to load it."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.errors import SourceError
from edge.frame import CapturedFrame

_TEXTURE_PIXELS: Final = 48
_SHIFTS: Final = 64


@dataclass(frozen=True)
class Scene:
    """What a synthetic camera shows.

    Attributes:
        width, height: pixels, 16 to 8192.
        fps: frames per second.
        seed: the same scene in every run; frame n is the same whatever was left out before it.
        objects: boxes that move about.
        noise: standard deviation of the sensor's noise, grey levels; 0 has none.
    """

    width: int = 640
    height: int = 360
    fps: float = 15.0
    seed: int = 0
    objects: int = 3
    noise: float = 2.0

    def __post_init__(self) -> None:
        if not (16 <= self.width <= 8192 and 16 <= self.height <= 8192):
            raise SourceError(f"a scene of {self.width}x{self.height}", "give 16 to 8192 pixels a side")
        if not 0 < self.fps <= 240:
            raise SourceError(f"a scene of {self.fps} frames per second", "give more than 0, up to 240")
        if self.seed < 0 or not 0 <= self.objects <= 64 or not 0 <= self.noise <= 64:
            raise SourceError(
                f"a scene of seed {self.seed}, {self.objects} objects and noise {self.noise}",
                "give a seed of at least 0, 0 to 64 objects, and noise of 0 to 64",
            )


class SyntheticCamera:
    """The camera of `synthetic://?width=640&height=360&fps=15&seed=0&objects=3&noise=2`, in live pace.

    Who comes too late for a frame has missed it, as at any camera.
    """

    def __init__(self, address: str) -> None:
        """Raises SourceError for an option that there is not, or that cannot be."""
        self.name = address
        kinds: dict[str, type[int] | type[float]] = {
            field.name: float if isinstance(field.default, float) else int for field in fields(Scene)
        }
        options: dict[str, float] = {}
        for name, text in parse_qsl(urlsplit(address).query, keep_blank_values=True):
            if name not in kinds:
                raise SourceError(f"{address}: there is no option {name!r}", f"there are {', '.join(kinds)}")
            try:
                options[name] = kinds[name](text)
            except ValueError as error:
                raise SourceError(f"{address}: {name} is {text!r}", "give a number") from error
        self._picture = SyntheticPicture(Scene(**options))  # type: ignore[arg-type]

    def frames(self) -> Generator[CapturedFrame]:
        """Frames for ever; see `edge.sources.live.Camera`."""
        fps = self._picture.scene.fps
        began = time.monotonic()
        index = 0
        while True:
            image = self._picture.at(index)
            time.sleep(max(0.0, began + index / fps - time.monotonic()))
            yield CapturedFrame(image, time.time_ns(), round(index / fps * 1e6))
            index = max(index + 1, math.floor((time.monotonic() - began) * fps))


class SyntheticPicture:
    """Pictures of a scene by their number."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        chance = np.random.default_rng(scene.seed)
        small = (math.ceil(scene.height / _TEXTURE_PIXELS) + 1, math.ceil(scene.width / _TEXTURE_PIXELS) + 1)
        texture = Image.fromarray(chance.integers(40, 200, (*small, 3), np.uint8))
        self._background = np.asarray(
            texture.resize((scene.width, scene.height), Image.Resampling.BICUBIC), np.int16
        )
        # Drawn once and shown from another corner in each frame: noise per frame would cost more than the codec.
        self._noise = np.rint(
            chance.normal(0, scene.noise, (scene.height + _SHIFTS, scene.width + _SHIFTS, 3))
        ).astype(np.int16)
        self._colours = chance.integers(0, 256, (scene.objects, 3), np.int16)
        self._sizes = chance.uniform(0.08, 0.3, (scene.objects, 2))
        self._speeds = chance.uniform(0.03, 0.25, (scene.objects, 2))
        self._phases = chance.uniform(0, 2, (scene.objects, 2))

    def at(self, index: int) -> NDArray[np.uint8]:
        """Frame `index`, uint8 RGB, height x width x 3."""
        scene = self.scene
        picture = self._background.copy()
        sides = np.array([scene.height, scene.width])
        for colour, size, speed, phase in zip(
            self._colours, self._sizes, self._speeds, self._phases, strict=True
        ):
            box = np.maximum(1, np.rint(size * min(sides))).astype(int)
            # To and fro between the edges, a triangle wave.
            place = np.abs((phase + speed * index / scene.fps) % 2 - 1)
            top, left = np.rint(place * (sides - box)).astype(int)
            picture[top : top + box[0], left : left + box[1]] = colour
        down, right = np.random.default_rng([scene.seed, index]).integers(0, _SHIFTS, 2)
        picture += self._noise[down : down + scene.height, right : right + scene.width]
        return picture.clip(0, 255).astype(np.uint8)
