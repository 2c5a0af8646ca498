"""Write the golden vectors anew: streams of every profile's weights, and pictures that some of them decode to.

Run it (`make golden`) only when the shipped weights or the format change on purpose.

::

    lite.json, paper.json     both layers at every quality, machine quality and number of slices, of a tiny frame
    lite_predicted.json       key frames and frames predicted from them, of a tiny strip
    0.machine, 0.human.png..  both layers of lite at equal levels of a larger frame, and the pictures
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from shared_models import Codec, EncodedFrame, load_codec
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import enhancement_layer, machine_layer, probability_tables
from shared_models.weights import Weights
from tests.shared_models.prediction import (
    SAME_LIGHT,
    SUNSET,
    Change,
    LightNumbers,
    coded_key,
    predicted_frame,
)
from tests.shared_models.tcm.sizes import TINY

FOLDER: Final = Path(__file__).parent
PREDICTED: Final = "lite_predicted.json"
LEVELS: Final = range(4)
_NOT_DRAWN: Final = ("quantiles", "gamma", "beta")


def generated_paper() -> Codec:
    """A small model of the profile paper, of random bits alone, so that every machine draws the same one."""
    machine, enhancement = machine_layer(TINY), enhancement_layer(TINY)
    torch.manual_seed(5)
    for layer in (machine, enhancement):
        for name, parameter in layer.named_parameters():
            drawn = parameter.min() < parameter.max() and not name.endswith(_NOT_DRAWN)
            bound = 1.0 / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 0.1
            if drawn:
                nn.init.uniform_(parameter, -bound, bound)
        for name, parameter in layer.entropy.named_parameters():
            if name.startswith("spread_nets") and name.endswith("4.bias"):
                nn.init.uniform_(parameter, 1.5, 4.5)
        last = list(layer.analysis.parameters())[-2]
        last.data *= 16.0
    tables = probability_tables(machine.entropy, enhancement.entropy)
    return Codec(Weights(TINY, machine, enhancement, tables, {}), device="cpu", dtype=torch.float32)


CODECS: Final[dict[str, Callable[[], Codec]]] = {
    "lite": lambda: load_codec("lite", device="cpu", dtype=torch.float32),
    "paper": generated_paper,
}
"""Every profile with vectors. One that has no shipped weights generates its own here, the same every time."""


@dataclass(frozen=True)
class Vector:
    """One frame, both layers. A machine layer depends on its own quality alone."""

    quality: int
    machine_quality: int
    slices: int
    machine: bytes
    enhancement: bytes


@dataclass(frozen=True)
class PredictedPoint:
    """How a frame is predicted: from a key frame of level `key` and five slices, of which about `share` changed."""

    key: int
    quality: int
    machine_quality: int
    slices: int
    share: float
    light: LightNumbers


@dataclass(frozen=True)
class PredictedVector:
    """One predicted frame, both layers, with its key frame."""

    point: PredictedPoint
    key_machine: bytes
    key_enhancement: bytes
    machine: bytes
    enhancement: bytes


def source() -> NDArray[np.uint8]:
    """The picture that is encoded."""
    return pink_noise(50, 70, seed=11)


def tiny_source() -> NDArray[np.uint8]:
    """The one that is encoded at every operating point."""
    return pink_noise(23, 40, seed=12)


def operating_points(codec: Codec) -> Iterator[tuple[int, int, int]]:
    """Every quality, machine quality and number of slices of a profile."""
    config = codec.config
    for quality in range(config.enhancement.levels):
        for machine_quality in range(config.machine.levels):
            for slices in range(1, config.enhancement_slices + 1):
                yield quality, machine_quality, slices


def read_vectors(profile: str) -> tuple[str, list[Vector]]:
    """The model that the vectors of a profile were made with, and the vectors."""
    held = json.loads((FOLDER / f"{profile}.json").read_text())
    machine = [base64.b64decode(stream) for stream in held["machine"]]
    return held["model"], [
        Vector(quality, machine_quality, slices, machine[machine_quality], base64.b64decode(stream))
        for quality, machine_quality, slices, stream in held["enhancement"]
    ]


def write_vectors(profile: str, codec: Codec) -> None:
    """Encode the tiny frame at every operating point."""
    machine: dict[int, bytes] = {}
    enhancement = []
    for quality, machine_quality, slices in operating_points(codec):
        frame = codec.encode(tiny_source(), quality, machine_quality, slices)
        assert machine.setdefault(machine_quality, frame.machine) == frame.machine
        stream = base64.b64encode(frame.enhancement).decode()
        enhancement.append((quality, machine_quality, slices, stream))
    lines = ",\n".join(json.dumps(entry) for entry in enhancement)
    streams = json.dumps([base64.b64encode(machine[level]).decode() for level in sorted(machine)], indent=1)
    (FOLDER / f"{profile}.json").write_text(
        f'{{"model": "{codec.model_id.hex()}",\n"machine": {streams},\n"enhancement": [\n{lines}\n]}}\n'
    )


def key_strip() -> NDArray[np.uint8]:
    """The key frame of what is predicted: 3 x 10 latent positions, 3 hyper latents."""
    return pink_noise(40, 150, seed=13)


def strip() -> NDArray[np.uint8]:
    """What it becomes."""
    return pink_noise(40, 150, seed=14)


def predicted_points() -> Iterator[PredictedPoint]:
    """Nothing, some and all of it changed at every level and in other light; fewer slices; other levels."""
    for level in LEVELS:
        for share in (0.0, 0.3, 1.0):
            yield PredictedPoint(level, level, level, 5, share, SAME_LIGHT)
        yield PredictedPoint(level, level, level, 5, 0.3, SUNSET)
        yield PredictedPoint(level, 3 - level, (level + 2) % 4, 1 + level, 0.3, SUNSET)
    yield PredictedPoint(1, 1, 1, 5, 0.0, SUNSET)


def change_at(point: PredictedPoint) -> Change:
    """What changes in a vector."""
    return Change.of(strip(), point.share, seed=15, light=point.light)


def read_predicted_vectors() -> tuple[str, list[PredictedVector]]:
    """The model that they were made with, and the vectors of predicted frames; none if the model predicts nothing."""
    path = FOLDER / PREDICTED
    if not path.exists():
        return "", []
    held = json.loads(path.read_text())
    keys = [tuple(map(base64.b64decode, layers)) for layers in held["keys"]]
    return held["model"], [
        PredictedVector(
            PredictedPoint(**{**point, "light": tuple(point["light"])}),
            *keys[point["key"]],
            *map(base64.b64decode, layers),
        )
        for point, layers in held["frames"]
    ]


def write_predicted_vectors(codec: Codec) -> None:
    """Encode the strip at every point."""
    keys = [coded_key(codec, key_strip(), level, level) for level in LEVELS]
    frames = []
    for point in predicted_points():
        frame = predicted_frame(
            codec,
            keys[point.key].reference,
            strip(),
            change_at(point),
            point.quality,
            point.machine_quality,
            point.slices,
        )
        frames.append([asdict(point), _texts(frame)])
    held = {"model": codec.predicting_id.hex(), "keys": [_texts(key.frame) for key in keys], "frames": frames}
    (FOLDER / PREDICTED).write_text(json.dumps(held, indent=1) + "\n")


def _texts(frame: EncodedFrame) -> list[str]:
    return [base64.b64encode(layer).decode() for layer in (frame.machine, frame.enhancement)]


def write_pictures(codec: Codec) -> None:
    """One larger frame per level, both layers at that level, with the pictures that they decode to."""
    image = source()
    for level in LEVELS:
        frame = codec.encode(image, quality=level, machine_quality=level)
        (FOLDER / f"{level}.machine").write_bytes(frame.machine)
        (FOLDER / f"{level}.enhancement").write_bytes(frame.enhancement)
        views = {
            "machine": codec.decode_machine(frame.machine),
            "human": codec.decode_human(frame.machine, frame.enhancement),
            "human_2_slices": codec.decode_human(frame.machine, frame.enhancement, slices=2),
        }
        for name, view in views.items():
            Image.fromarray(view).save(FOLDER / f"{level}.{name}.png", optimize=True)


def main() -> None:
    """All vectors of all profiles."""
    for profile, make_codec in CODECS.items():
        codec = make_codec()
        write_vectors(profile, codec)
        if profile == "lite":
            write_pictures(codec)
            if codec.predicts:
                write_predicted_vectors(codec)


if __name__ == "__main__":
    main()
