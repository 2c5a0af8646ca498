"""What frames of camera streams have measured in bits: a table that is packed with the product.

``python -m server.plan.bits docs/results/stream.json`` writes it anew from what `secondsight eval stream` found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import mean
from typing import Any, Final

_TABLE: Final = "bits.json"
_CURVE: Final = "groups"


@dataclass(frozen=True)
class Bits:
    """Bits per pixel of one layer at one level: the mean over clips, and the least and the most of them."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True)
class BitTable:
    """Bits per pixel of both layers by level. `origin` says where they were measured."""

    origin: str
    clips: Mapping[str, str]
    machine: Mapping[int, Bits]
    enhancement: Mapping[int, Bits]


def load_bits(camera: str) -> BitTable:
    """The table for a ``fixed`` or a ``moving`` camera."""
    table = json.loads((resources.files("server.plan") / _TABLE).read_text())
    clips = [clip for clip in table["clips"] if clip["camera"] == camera]
    return BitTable(
        origin=table["origin"],
        clips={clip["clip"]: f"{clip['width']}x{clip['height']}" for clip in clips},
        machine=_over_clips(clips, "machine"),
        enhancement=_over_clips(clips, "enhancement"),
    )


def _over_clips(clips: list[dict[str, Any]], layer: str) -> dict[int, Bits]:
    by_level = {int(level): [clip[layer][level] for clip in clips] for level in clips[0][layer]}
    return {level: Bits(mean(found), min(found), max(found)) for level, found in by_level.items()}


def table_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    """The table, from the results of `secondsight eval stream`: frames in groups, as an edge codes them.

    A setting is measured at both layers together. A level that was measured more than once counts where the other
    layer's is highest.
    """
    clips = []
    for clip in results["clips"]:
        (curve,) = (curve for curve in clip["curves"] if curve["name"] == _CURVE and curve["kind"] == "ours")
        machine: dict[str, float] = {}
        enhancement: dict[str, float] = {}
        points = {
            tuple(point["setting"].replace("machine ", "").replace("quality ", "").split(", ")): point
            for point in curve["points"]
        }
        for (machine_level, level), point in sorted(points.items()):
            bits = point["machine"]["bits_per_pixel"]
            machine[machine_level] = bits
            enhancement[level] = round(point["both"]["bits_per_pixel"] - bits, 6)
        clips.append(
            {
                "clip": clip["clip"],
                "camera": clip["camera"],
                "width": clip["width"],
                "height": clip["height"],
                "machine": machine,
                "enhancement": enhancement,
            }
        )
    return {
        "origin": f"{name}, written by `secondsight eval stream` with model {results['model']}",
        "clips": clips,
    }


if __name__ == "__main__":
    source = Path(sys.argv[1])
    made = table_of(json.loads(source.read_text()), str(source))
    Path(__file__).with_name(_TABLE).write_text(json.dumps(made, indent=2) + "\n")
