"""Lets torchvision be imported beside a torch for which it was not built.

PyPI's torchvision needs CUDA libraries for its compiled operators, which the CPU build of torch does not bring; its
import then fails because the operators are unknown.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

_NAMESPACE: Final = "torchvision"
_SCHEMA: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def provide_operators() -> None:
    """Declare the operators that importing torchvision asks for, if its own cannot be loaded.

    Of them `nms` works, `qnms` does not.

    Raises:
        ModuleNotFoundError: there is no torchvision.
    """
    spec = find_spec(_NAMESPACE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'torchvision'", name=_NAMESPACE)
    if _loads(Path(spec.origin).parent) or hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library(_NAMESPACE, "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    library.impl("nms", suppressed, "CompositeExplicitAutograd")
    _libraries.append(library)

    import torchvision.extension

    torchvision.extension._has_ops = lambda: True


def suppressed(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that stay in non-maximum suppression, by falling score.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2.
        scores: (N,)
        iou_threshold: a box goes when it covers one of a higher score by more than this IoU.
    """
    order = scores.argsort(descending=True)
    boxes = boxes[order]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for index in range(len(boxes)):
        if alive[index]:
            corner = torch.maximum(boxes[index, :2], boxes[index + 1 :, :2])
            other = torch.minimum(boxes[index, 2:], boxes[index + 1 :, 2:])
            common = (other - corner).clamp(min=0).prod(1)
            alive[index + 1 :] &= common <= iou_threshold * (area[index] + area[index + 1 :] - common)
    return order[alive]


# A library's declarations last as long as the object.
_libraries: list[torch.library.Library] = []


def _loads(package: Path) -> bool:
    for suffix in EXTENSION_SUFFIXES:
        path = package / f"_C{suffix}"
        if path.is_file():
            try:
                torch.ops.load_library(path)
            except OSError:
                continue
            return True
    return False
