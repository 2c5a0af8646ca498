"""Weights files of the codecs that stand beside the layered one in evaluations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors.torch import save_file
from torch import Tensor

from shared_models.config import MODEL_ID_BYTES, PROFILES, CodecConfig
from shared_models.errors import WeightsError
from shared_models.profile import comparison_layer
from shared_models.single import SingleLayer
from shared_models.tables import Tables
from shared_models.weights import SHIPPED, read_weights_file, tables_in, tensors_of

SHIPPED_COMPARISONS: Final = SHIPPED / "comparison"
_LAYER: Final = "layer."


@dataclass(frozen=True)
class ComparisonWeights:
    """A single layer of the size of the profile's enhancement layer.

    `task` is what it was trained for: `human` codes pictures, `difference` what a machine view lacks.
    """

    task: str
    config: CodecConfig
    layer: SingleLayer
    tables: Tables
    training: dict[str, object]

    @property
    def model_id(self) -> bytes:
        """First 8 bytes of SHA-256 over task, names and values."""
        digest = hashlib.sha256(f"{self.config.name} {self.task}".encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.digest()[:MODEL_ID_BYTES]

    def save(self, path: Path) -> None:
        """Write the file."""
        about = {"profile": self.config.name, "task": self.task, "training": json.dumps(self.training)}
        save_file(self._tensors(), path, about)

    @classmethod
    def load(cls, path: Path) -> ComparisonWeights:
        """Read a file that `save` wrote.

        Raises:
            WeightsError: it is missing, damaged or of an unknown profile.
        """
        about, tensors = read_weights_file(path)
        try:
            config = PROFILES[about["profile"]]
            tables = tables_in(tensors)
            layer = comparison_layer(config)
            layer.load_state_dict({name.removeprefix(_LAYER): tensor for name, tensor in tensors.items()})
            return cls(about["task"], config, layer, tables, json.loads(about["training"]))
        except (KeyError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"{path} holds no comparison codec that this software knows: {error}"
            ) from error

    def _tensors(self) -> dict[str, Tensor]:
        return tensors_of(self.tables, {_LAYER: self.layer})
