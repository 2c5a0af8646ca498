"""Weights files: everything that encoder and decoder must share, in one safetensors file with an identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from shared_models.config import MODEL_ID_BYTES, PROFILES, CodecConfig
from shared_models.eight_bit import AnalysisRanges, Ranges
from shared_models.enhancement import EnhancementLayer
from shared_models.errors import WeightsError
from shared_models.predicted import PredictedModels
from shared_models.profile import enhancement_layer, machine_layer, predicted_models
from shared_models.single import SingleLayer
from shared_models.tables import Tables

SHIPPED: Final = Path(__file__).parent / "shipped"
_TABLES: Final = "tables."
_COUNTS: Final = f"{_TABLES}counts"
_LENGTHS: Final = f"{_TABLES}lengths"
_MACHINE: Final = "machine."
_ENHANCEMENT: Final = "enhancement."
_PREDICTED: Final = "predicted."
_PROFILE: Final = "profile"
_SWITCHES: Final = "switches"
_TRAINING: Final = "training"
_RANGES: Final = "ranges."


@dataclass(frozen=True)
class Weights:
    """Both layers and the tables of one model. `training` tells how it came about.

    `predicted` has the entropy models of predicted frames, `ranges` lets an encoder compute its analyses in 8 bits; a
    model may do without either.
    """

    config: CodecConfig
    machine: SingleLayer
    enhancement: EnhancementLayer
    tables: Tables
    training: dict[str, object]
    predicted: PredictedModels | None = None
    ranges: AnalysisRanges | None = None

    @property
    def model_id(self) -> bytes:
        """First 8 bytes of SHA-256 over profile, switches, and names, shapes and values of both layers and the tables.

        Self-contained frames of other models are refused.
        """
        return self._identity(_MACHINE, _ENHANCEMENT)

    @property
    def predicting_id(self) -> bytes:
        """The same over everything that a decoder needs: predicted frames of other models are refused."""
        return self._identity("")

    @property
    def machine_id(self) -> bytes:
        """The same over the machine layer alone: models that share it and all switches write the same of it."""
        return self._identity(_MACHINE)

    def _identity(self, *parts: str) -> bytes:
        digest = hashlib.sha256(f"{self.config.name} {_switches(self.config)}".encode())
        for name, tensor in sorted(self._tensors().items()):
            if name.startswith((*parts, _TABLES)):
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.numpy().tobytes())
        return digest.digest()[:MODEL_ID_BYTES]

    def save(self, path: Path) -> None:
        """Write the file, with the folders on the way to it.

        Raises:
            WeightsError: it cannot be written there.
        """
        metadata = {
            _PROFILE: self.config.name,
            _SWITCHES: _switches(self.config),
            _TRAINING: json.dumps(self.training),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(self._tensors() | self._range_tensors(), path, metadata)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} cannot be written: {error}") from error

    @classmethod
    def load(cls, path: Path) -> Weights:
        """Read a file that `save` wrote.

        Raises:
            WeightsError: it is missing, damaged or of an unknown profile.
        """
        metadata, tensors = read_weights_file(path)
        profile = metadata.get(_PROFILE, "")
        if profile not in PROFILES:
            raise WeightsError(f"{path} is for profile {profile!r}; known: {', '.join(sorted(PROFILES))}")
        try:
            config = replace(PROFILES[profile], **json.loads(metadata.get(_SWITCHES, "{}")))
            machine, enhancement = machine_layer(config), enhancement_layer(config)
            tables = tables_in(tensors)
            ranges = _ranges_in(tensors)
            parts: list[tuple[str, nn.Module]] = [(_MACHINE, machine), (_ENHANCEMENT, enhancement)]
            predicted = None
            if any(name.startswith(_PREDICTED) for name in tensors):
                predicted = predicted_models(config)
                parts.append((_PREDICTED, predicted))
            for prefix, module in parts:
                module.load_state_dict(
                    {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
                )
            if len(tables.counts) <= max(layer.entropy.largest_index for layer in (machine, enhancement)):
                raise ValueError("probability tables are missing")
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path} does not fit profile {profile!r}: {error}") from error
        training = json.loads(metadata.get(_TRAINING, "{}"))
        return cls(config, machine, enhancement, tables, training, predicted, ranges)

    def _tensors(self) -> dict[str, Tensor]:
        parts: dict[str, nn.Module] = {_MACHINE: self.machine, _ENHANCEMENT: self.enhancement}
        if self.predicted is not None:
            parts[_PREDICTED] = self.predicted
        return tensors_of(self.tables, parts)

    def _range_tensors(self) -> dict[str, Tensor]:
        """Not part of the model: a decoder has no use for them."""
        if self.ranges is None:
            return {}
        layers = {_MACHINE: self.ranges.machine, _ENHANCEMENT: self.ranges.enhancement}
        return {
            _RANGES + layer + field.name: getattr(ranges, field.name)
            for layer, ranges in layers.items()
            for field in fields(ranges)
        }


def shipped_weights(profile: str) -> Path:
    """Where the shipped weights of a profile lie.

    Raises:
        WeightsError: none are shipped.
    """
    path = SHIPPED / f"{profile}.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"no weights are shipped for the profile {profile!r}: name a weights file. `secondsight models import` "
            f"makes one from the authors' checkpoints, `secondsight train --profile {profile}` trains one"
        )
    return path


def read_weights_file(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a weights file.

    Raises:
        WeightsError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing: reinstall, or name a weights file") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no weights file: {error}") from error


def tensors_of(tables: Tables, modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Tables and modules as a weights file holds them, the modules' tensors under their prefixes."""
    counts, lengths = tables.flattened()
    tensors = {_COUNTS: torch.from_numpy(counts), _LENGTHS: torch.from_numpy(lengths)}
    for prefix, module in modules.items():
        for name, tensor in module.state_dict().items():
            tensors[prefix + name] = tensor.detach().cpu().contiguous()
    return tensors


def tables_in(tensors: dict[str, Tensor]) -> Tables:
    """The tables of a weights file, taken out of its tensors.

    Raises:
        KeyError, ValueError: there are none, or they are damaged.
    """
    return Tables.unflattened(tensors.pop(_COUNTS).numpy(), tensors.pop(_LENGTHS).numpy())


def _ranges_in(tensors: dict[str, Tensor]) -> AnalysisRanges | None:
    """The ranges of a weights file, if it has any, taken out of its tensors."""
    own = {
        name.removeprefix(_RANGES): tensors.pop(name) for name in list(tensors) if name.startswith(_RANGES)
    }
    if not own:
        return None
    machine, enhancement = (
        Ranges(**{name.removeprefix(layer): part for name, part in own.items() if name.startswith(layer)})
        for layer in (_MACHINE, _ENHANCEMENT)
    )
    return AnalysisRanges(machine, enhancement)


def _switches(config: CodecConfig) -> str:
    return json.dumps(config.switches, sort_keys=True)
