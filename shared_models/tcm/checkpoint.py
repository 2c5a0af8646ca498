"""Reads the checkpoint files that the paper's authors released: PyTorch state dicts of their own module names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from shared_models.enhancement import EnhancementLayer
from shared_models.errors import WeightsError
from shared_models.single import SingleLayer

_THEIR_PARTS: Final = {
    "analysis.net.": "g_a.",
    "synthesis.net.": "g_s.",
    "entropy.hyper_analysis.net.": "h_a.",
    "entropy.hyper_mean.net.": "h_mean_s.",
    "entropy.hyper_spread.net.": "h_scale_s.",
    "entropy.hyper_distribution.": "entropy_bottleneck.",
    "entropy.mean_nets.": "cc_mean_transforms.",
    "entropy.spread_nets.": "cc_scale_transforms.",
    "entropy.corrections.": "lrp_transforms.",
}
_THEIR_ATTENTION: Final = {
    r"^entropy\.mean_attention\.(\d+)\.": r"atten_mean.\1.0.",
    r"^entropy\.spread_attention\.(\d+)\.": r"atten_scale.\1.0.",
}
_THEIR_NAMES: Final = {
    "divide": "conv1_1",
    "unite": "conv1_2",
    "convolution": "conv_block",
    "transformer": "trans_block",
    "around.0": "non_local_block.block_1",
    "around.1": "non_local_block.block_2",
    "narrow": "in_conv",
    "widen": "out_conv",
    "features": "conv_a",
    "gate": "conv_b",
    "attention_norm": "ln1",
    "attention.qkv": "msa.embedding_layer",
    "attention.merge": "msa.linear",
    "attention.position_bias": "msa.relative_position_params",
    "feed_forward_norm": "ln2",
    "feed_forward": "mlp",
}
_EARLIER_NAMES: Final = {
    r"^(entropy_bottleneck)\._matrix(\d)$": r"\1.matrices.\2",
    r"^(entropy_bottleneck)\._bias(\d)$": r"\1.biases.\2",
    r"^(entropy_bottleneck)\._factor(\d)$": r"\1.factors.\2",
}
"""Of CompressAI before version 1.2.5, and since."""
_DERIVED: Final = "gaussian_conditional."
"""Tables and constants, which hold nothing that was learnt."""
_NAMED: Final = 3


class AuthorsCheckpoint:
    """Weights of either layer: the machine layer, or an enhancement layer of any m.

    Args:
        tensors: by the authors' names.
        origin: what messages call it.

    Raises:
        WeightsError: they are not of LIC-TCM.
    """

    def __init__(self, tensors: Mapping[str, Tensor], origin: str) -> None:
        self._tensors = tensors
        self.origin = origin
        self.slices = len({key.split(".")[1] for key in tensors if key.startswith("atten_mean.")})
        """The paper's n, or m."""
        if not self.slices:
            raise WeightsError(f"{origin} is no checkpoint of LIC-TCM: it holds no 'atten_mean'")

    @classmethod
    def read(cls, path: Path) -> AuthorsCheckpoint:
        """Read a file: a state dict, or a dict whose entry ``state_dict`` is one; keys may begin with ``module.``.

        Raises:
            WeightsError: it is missing, no such file, or not of LIC-TCM.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise WeightsError(f"{path} is missing: name the authors' checkpoint file") from error
        except Exception as error:  # torch's reader lets through whatever damaged bytes lead it to
            raise WeightsError(
                f"{path} is damaged, or no PyTorch checkpoint: name the authors' checkpoint file"
            ) from error
        if isinstance(content, dict):
            content = content.get("state_dict", content)
        if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
            raise WeightsError(f"{path} is no checkpoint: it holds something else than tensors by name")
        return cls({_present_name(str(key)): tensor for key, tensor in content.items()}, str(path))

    def load_into(self, layer: SingleLayer | EnhancementLayer) -> None:
        """Give a layer of the profile `paper` these weights.

        Raises:
            WeightsError: they are of another size, or not all there, or there are more.
        """
        wanted = {authors_key(name): parameter for name, parameter in layer.named_parameters()}
        constants = {authors_key(name) for name, _ in layer.named_buffers()}
        given = {
            key: tensor
            for key, tensor in self._tensors.items()
            if key not in constants and not key.startswith(_DERIVED)
        }
        self._refuse("lacks", sorted(wanted.keys() - given.keys()))
        self._refuse("holds more than this layer has:", sorted(given.keys() - wanted.keys()))
        self._refuse(
            "holds tensors of other sizes:",
            [
                f"{key} {tuple(given[key].shape)} for {tuple(parameter.shape)}"
                for key, parameter in wanted.items()
                if given[key].shape != parameter.shape
            ],
        )
        with torch.no_grad():
            for key, parameter in wanted.items():
                parameter.copy_(given[key])

    def _refuse(self, fault: str, keys: list[str]) -> None:
        if keys:
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            raise WeightsError(
                f"{self.origin} with {self.slices} slices {fault} {', '.join(keys[:_NAMED])}{more}"
            )


def authors_key(name: str) -> str:
    """What the authors call the parameter `name` of a layer of the profile `paper`."""
    for ours, theirs in _THEIR_PARTS.items():
        if name.startswith(ours):
            name = theirs + name.removeprefix(ours)
    for pattern, theirs in _THEIR_ATTENTION.items():
        name = re.sub(pattern, theirs, name)
    for ours, theirs in _THEIR_NAMES.items():
        name = re.sub(rf"\.{re.escape(ours)}(?=\.|$)", f".{theirs}", name)
    return name


def _present_name(key: str) -> str:
    key = key.removeprefix("module.")
    for earlier, present in _EARLIER_NAMES.items():
        key = re.sub(earlier, present, key)
    return key
