"""Ways in which one codec can compute the same thing, for tests that one side decodes what the other wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import Tensor, nn

from shared_models import Codec
from shared_models.device import multiplies_bytes_exactly
from shared_models.fixed_point import FixedPointConv2d
from shared_models.layer import LayerEntropyModel

needs_bytes = pytest.mark.skipif(
    not multiplies_bytes_exactly(torch.device("cpu")), reason="this processor has neither VNNI nor AMX"
)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """CPU threads of one operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def plain_layout(codec: Codec) -> Iterator[None]:
    """Every convolution computes in the contiguous layout in place of channels_last."""

    def contiguous(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.contiguous() for tensor in inputs)

    parts = [part for part in codec.layers.modules() if isinstance(part, nn.Conv2d | FixedPointConv2d)]
    hooks = [part.register_forward_pre_hook(contiguous) for part in parts]
    for part in parts:
        part.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for part in parts:
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def double_means(codec: Codec) -> Iterator[None]:
    """The nets that means come from compute in float64."""
    nets: list[nn.Module] = []
    for entropy in entropy_models(codec):
        nets += [entropy.hyper_mean, *entropy.mean_nets]
    with ExitStack() as undo:
        for net in nets:
            net.double()
            undo.callback(net.float)
            undo.callback(
                net.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(), *inputs[1:])).remove
            )
            undo.callback(net.register_forward_hook(lambda _, inputs, output: output.float()).remove)
        yield


@contextmanager
def floats_alone(codec: Codec) -> Iterator[None]:
    """The exact path multiplies no bytes."""
    products = [(entropy, entropy.products) for entropy in entropy_models(codec)]
    for entropy, _ in products:
        entropy.products = None
    try:
        yield
    finally:
        for entropy, own in products:
            entropy.products = own


@contextmanager
def compiled(codec: Codec) -> Iterator[None]:
    """Nets of both paths of machine layers as Inductor compiles them; not all, since each takes seconds."""
    nets: list[nn.Module] = []
    for entropy in entropy_models(codec):
        if not entropy.conditioned:
            nets += [entropy.hyper_scale, entropy.index_nets[1], entropy.mean_nets[1]]
    for net in nets:
        net.compile(dynamic=False)
    try:
        yield
    finally:
        for net in nets:
            net._compiled_call_impl = None


def entropy_models(codec: Codec) -> Iterator[LayerEntropyModel]:
    """Of both layers, the machine layer's first, then those of predicted frames."""
    for part in codec.layers.modules():
        if isinstance(part, LayerEntropyModel):
            yield part
