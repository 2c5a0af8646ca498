"""Multiply-accumulates of the codec, counted while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.codec import Changes, Codec
from shared_models.fixed_point import FixedPointConv2d
from shared_models.light import Light


@runtime_checkable
class Multiplies(Protocol):
    """A module that multiplies otherwise than by the convolutions and linear layers within it."""

    def multiply_accumulates(self, x: Tensor) -> int:
        """How often, in a call with `x`, beyond what those do."""


def multiply_accumulates(module: nn.Module, run: Callable[[], object]) -> Counter[str]:
    """Those of `module` while `run` runs, by the first two parts of the names of what does them."""
    counted: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def count(part: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            if isinstance(part, Multiplies):
                counted[name] += part.multiply_accumulates(arguments[0])
            else:
                weight = part.weight
                assert isinstance(weight, Tensor)
                counted[name] += output.numel() * weight[0].numel()

        return count

    handles = [
        part.register_forward_hook(hook(".".join(path.split(".")[:2])))
        for path, part in module.named_modules()
        if _multiplies(part)
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return counted


def kilo_macs_per_pixel(codec: Codec, side: int = 512) -> dict[str, Counter[str]]:
    """Thousand multiply-accumulates per pixel of the frame, by part, for each of the codec's operations.

    Both layers, all slices, of a picture of `side` x `side`. What it shows does not matter: every part always runs. All
    of a predicted frame is taken to have changed, the most that it can cost.
    """
    image = np.zeros((side, side, 3), np.uint8)
    frame = codec.encode(image)
    operations: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(image),
        "decode_machine": lambda: codec.decode_machine(frame.machine),
        "decode_human": lambda: codec.decode_human(frame.machine, frame.enhancement),
    }
    if codec.predicts:
        key = codec.reference(frame.machine, frame.enhancement)
        point = codec.operating_point()
        size = key.machine.symbols.shape[-2:]
        everywhere = torch.ones(1, 1, *size, dtype=torch.bool, device=codec.device)
        changes = Changes(key, Light.unchanged(1, codec.device), everywhere, everywhere)
        predicted = codec.code(codec.analyse(image), point, changes).frame
        operations |= {
            "encode_predicted": lambda: codec.code(codec.analyse(image), point, changes),
            "decode_predicted_machine": lambda: codec.decode_machine(predicted.machine, key),
            "decode_predicted_human": lambda: codec.decode_human(
                predicted.machine, predicted.enhancement, reference=key
            ),
            "decode_reference": lambda: codec.reference(frame.machine, frame.enhancement),
        }
    result = {}
    for name, operation in operations.items():
        counted = multiply_accumulates(codec.layers, operation)
        result[name] = Counter({part: count / side**2 / 1000 for part, count in counted.items()})
    return result


def _multiplies(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d | FixedPointConv2d | nn.Linear | Multiplies)
