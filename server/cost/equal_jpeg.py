"""Which quality of JPEG shows as much as a view of ours, by what both measured on the same photos.

A view is said to be equal to the JPEG whose mean PSNR on the Kodak photos is that of the view's level, number of slices
and machine level. The table is packed with the product; ``python -m server.cost.equal_jpeg docs/results/rd.json``
writes it anew from what `secondsight eval rd` found.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from PIL import Image

from shared_models.picture import Picture

BASELINE: Final = "JPEG (Pillow, 4:2:0, optimised)"
_SETTINGS: Final[dict[str, Any]] = {"optimize": True, "subsampling": "4:2:0"}
_TABLE: Final = "equal_jpeg.json"
_MACHINE: Final = "machine layer"


@dataclass(frozen=True)
class EqualJpeg:
    """A JPEG that shows as much as a view of ours, on the photos that both were measured on.

    Attributes:
        quality: Pillow's, the nearest whole one within those measured.
        psnr_db: of the view, mean over the photos.
    """

    quality: int
    psnr_db: float

    def size(self, picture: Picture) -> int:
        """Bytes of `picture` (uint8 HxWx3 RGB) as this JPEG. Takes a while: call it off the event loop."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=self.quality, **_SETTINGS)
        return len(file.getvalue())


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((resources.files("server.cost") / _TABLE).read_text())
    return table


def origin() -> str:
    """Where the comparison was measured."""
    return str(_table()["origin"])


def equal_to_machine_view(level: int) -> EqualJpeg | None:
    """Of a machine view of this level; None when that was not measured."""
    return _equal(_table()["machine"].get(str(level)))


def equal_to_human_view(machine_level: int, level: int, slices: int, of_slices: int) -> EqualJpeg | None:
    """Of a human view from `slices` of `of_slices` slices; None when that was not measured.

    Fewer than all slices were measured beside the default machine level, and count for all of them.
    """
    if slices >= of_slices:
        return _equal(_table()["human"].get(str(machine_level), {}).get(str(level)))
    return _equal(_table()["slices"].get(str(level), {}).get(str(slices)))


def _equal(psnr_db: float | None) -> EqualJpeg | None:
    if psnr_db is None:
        return None
    ladder = sorted((int(quality), measured) for quality, measured in _table()["jpeg"].items())
    if psnr_db <= ladder[0][1]:
        return EqualJpeg(ladder[0][0], psnr_db)
    for (below, low_db), (above, high_db) in pairwise(ladder):
        if psnr_db <= high_db:
            return EqualJpeg(
                round(below + (above - below) * (psnr_db - low_db) / (high_db - low_db)), psnr_db
            )
    return EqualJpeg(ladder[-1][0], psnr_db)


def table_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    """The table, from the results of `secondsight eval rd`: mean PSNR in dB by setting."""
    found = {
        curve["name"]: {_number(point["setting"]): round(point["psnr_db"], 4) for point in curve["points"]}
        for curve in results["curves"]
        if curve["kind"] == "ours" or curve["name"] == BASELINE
    }
    whole, parts = "both layers, machine level ", "both layers, quality "
    return {
        "origin": f"{name}, written by `secondsight eval rd` with model {results['model']}: mean PSNR of "
        f"{results['photos']} Kodak photos",
        "baseline": results["identities"][BASELINE],
        "jpeg": found[BASELINE],
        "machine": found[_MACHINE],
        "human": {
            name.removeprefix(whole): points for name, points in found.items() if name.startswith(whole)
        },
        "slices": {_number(name): points for name, points in found.items() if name.startswith(parts)},
    }


def _number(setting: str) -> str:
    """The number in ``quality 2`` or ``3 slices``."""
    (number,) = (word.rstrip(",") for word in setting.split() if word.rstrip(",").isdigit())
    return number


if __name__ == "__main__":
    source = Path(sys.argv[1])
    made = table_of(json.loads(source.read_text()), str(source))
    Path(__file__).with_name(_TABLE).write_text(json.dumps(made, indent=2) + "\n")
