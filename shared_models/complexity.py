"""Multiply-accumulates of the codec, counted while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from shared_models.codec import Codec
from shared_models.fixed_point import FixedPointConv2d
from shared_models.layer import IndexNet, MeanNet

_SIDE = 512


def multiply_accumulates(module: nn.Module, run: Callable[[], object]) -> Counter[str]:
    """Those of every convolution of `module` while `run` runs, by the first two parts of its name."""
    counted: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def count(convolution: nn.Module, _: Any, output: Tensor) -> None:
            weight = convolution.weight
            assert isinstance(weight, Tensor)
            counted[name] += output.numel() * weight[0].numel()

        return count

    def gathered_hook(name: str) -> Callable[[IndexNet | MeanNet, tuple[Tensor, Any]], None]:
        def count(net: IndexNet | MeanNet, arguments: tuple[Tensor, Any]) -> None:
            counted[name] += arguments[0].numel() * net.gather.weight[0].numel()

        return count

    handles = []
    for path, part in module.named_modules():
        name = ".".join(path.split(".")[:2])
        if isinstance(part, nn.Conv2d | FixedPointConv2d):
            handles.append(part.register_forward_hook(hook(name)))
        elif isinstance(part, IndexNet | MeanNet):
            handles.append(part.register_forward_pre_hook(gathered_hook(name)))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return counted


def kilo_macs_per_pixel(codec: Codec) -> dict[str, Counter[str]]:
    """Thousand multiply-accumulates per pixel of the frame, by part, for each of the codec's operations.

    Both layers, all slices. The picture does not matter: every part always runs.
    """
    image = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    frame = codec.encode(image)
    operations: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(image),
        "decode_machine": lambda: codec.decode_machine(frame.machine),
        "decode_human": lambda: codec.decode_human(frame.machine, frame.enhancement),
    }
    result = {}
    for name, operation in operations.items():
        counted = multiply_accumulates(codec.layers, operation)
        result[name] = Counter({part: count / _SIDE**2 / 1000 for part, count in counted.items()})
    return result
