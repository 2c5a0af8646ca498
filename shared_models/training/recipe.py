"""What a training run consists of: one TOML file per recipe."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from shared_models.errors import RecipeError
from shared_models.training.losses import ErrorWeights

_SHIPPED: Final = Path(__file__).parent / "recipes"
_SEEDS: Final = 2**32
"""With the number of a step it makes the 64 bits of torch's seed."""


@dataclass(frozen=True)
class Recipe:
    """Numbers of one run. They travel with the checkpoint."""

    steps: int = 6000
    batch: int = 8
    crop: int = 192
    """Side of the crops, a multiple of 64 pixels."""
    learning_rate: float = 1e-3
    warm_up: int = 50
    decay_from: float = 0.5
    """Share of the steps after which the learning rate falls to nothing by a cosine."""
    gradient_norm: float = 1.0
    average: float = 0.995
    """Decay of the exponential moving average of the weights; the average is what is validated and exported."""
    seed: int = 1
    save_every: int = 250
    validate_every: int = 500
    validation_photos: int = 4
    start: str = "klt"
    """`klt`: the photos' Karhunen-Loève transform; `random`: PyTorch's own."""
    outside: float = 0.5
    """Machine layer: weight of the error outside the edge masks, eq. (2): 0 as in the paper."""
    detail: float = 0.25
    """Machine layer: weight of the part of the error that halving the picture's size would hide: 1 as in the paper."""
    edge_detail: float = 0.0
    """Machine layer: what that weight is more within the edge masks."""
    colour: float = 1.0
    """Machine layer: weight of the part of the error in which the channels differ: 1 as in the paper."""
    slices: int = 0
    """Enhancement layer: the paper's m; 0 draws it at random for every crop. In the profile paper, also its size."""
    condition_on_machine: bool = True
    """Enhancement layer: show the machine layer to the entropy model. The paper's does not."""
    residual: bool = True
    """Enhancement layer: code the difference to the machine latents. The paper's codes latents of their own."""
    operating_point: float = 0.0
    """In the profile paper, whose models have one quality level: its lambda in eq. (1) to (3); 0 for the profile's."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), float) and not math.isfinite(value):
                raise RecipeError(f"{field.name} = {value}: use a finite number")
        if self.steps < 1 or self.batch < 1:
            raise RecipeError("a run has at least one step and one crop a batch")
        for name in ("warm_up", "save_every", "validate_every"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}: use 1 step or more")
        if self.validation_photos < 1:
            raise RecipeError(
                f"validation_photos = {self.validation_photos}: use 1 or more, or leave --validation out"
            )
        if self.crop < 64 or self.crop % 64:
            raise RecipeError(f"crop = {self.crop}: crops are multiples of 64 pixels a side")
        if self.start not in ("klt", "random"):
            raise RecipeError(f"start = {self.start!r}: use 'klt' or 'random'")
        for name in ("decay_from", "average", "outside", "detail"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RecipeError(f"{name} = {getattr(self, name)}: use 0 to 1")
        if self.detail + self.edge_detail > 1.0 or self.edge_detail < 0.0:
            raise RecipeError(
                f"edge_detail = {self.edge_detail}: use 0 to {1.0 - self.detail:g}, with detail = {self.detail}"
            )
        for name in ("learning_rate", "gradient_norm"):
            if getattr(self, name) <= 0.0:
                raise RecipeError(f"{name} = {getattr(self, name)}: use more than 0")
        for name in ("colour", "slices"):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} = {getattr(self, name)}: use 0 or more")
        if not 0 <= self.seed < _SEEDS:
            raise RecipeError(f"seed = {self.seed}: use 0 to {_SEEDS - 1}")
        if self.operating_point < 0.0:
            raise RecipeError(
                f"operating_point = {self.operating_point}: use a lambda, or 0 for the profile's"
            )

    @property
    def error_weights(self) -> ErrorWeights:
        """The machine layer's."""
        return ErrorWeights(self.outside, self.detail, self.edge_detail, self.colour)

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """A recipe in which `values` stand for its own.

        Raises:
            RecipeError: there is no such number, or it cannot have this value.
        """
        kinds = {field.name: type(field.default) for field in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise RecipeError(f"a recipe has no {name!r}; it has: {', '.join(kinds)}")
            fits = isinstance(value, kinds[name]) or (kinds[name] is float and type(value) is int)
            if not fits or (isinstance(value, bool) and kinds[name] is not bool):
                raise RecipeError(f"{name} = {value!r}: a recipe wants {kinds[name].__name__} there")
        return replace(self, **values)

    def with_settings(self, settings: Sequence[str]) -> Recipe:
        """A recipe changed by ``name=value`` words, values as in TOML.

        Raises:
            RecipeError: a word is no setting of a recipe.
        """
        try:
            return self.changed(tomllib.loads("\n".join(settings)))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{' '.join(settings)}: write settings as name=value ({error})") from error

    @classmethod
    def from_file(cls, path: Path) -> Recipe:
        """Read a TOML file; what it leaves out has its default.

        Raises:
            RecipeError: it is missing or no recipe.
        """
        try:
            return cls().changed(tomllib.loads(path.read_text()))
        except FileNotFoundError as error:
            raise RecipeError(f"{path} is missing: name a recipe file, or leave --recipe out") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is no TOML file: {error}") from error

    @classmethod
    def shipped(cls, task: str, profile: str = "lite") -> Recipe:
        """The recipe of a task: for lite, the one by which the shipped weights were trained."""
        return cls.from_file(_SHIPPED / profile / f"{task}.toml")

    @classmethod
    def from_checkpoint(cls, values: dict[str, Any]) -> Recipe:
        """From a checkpoint, which may be older than some of the numbers."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
