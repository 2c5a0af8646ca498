"""What the server asks of a recogniser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import numpy as np

from server.recogniser_device import Device
from server.recognition.seen import Seen
from shared_models.picture import Picture

_WARM_UP_SIZE: Final = (270, 480)


class Fit(StrEnum):
    """What becomes of a picture before the model sees it."""

    AS_IT_IS = "as it is"
    STRETCHED = "stretched"
    LETTERBOXED = "in proportion, on a border"
    SHRUNK = "in proportion, shrunk where it is larger"


@dataclass(frozen=True)
class InputPolicy:
    """The input of a model. Pictures of any size are taken; this tells which detail the model can see of them.

    Attributes:
        width: pixels; None for any.
        height: likewise. Where one size limits the longer side, both are that.
    """

    fit: Fit = Fit.AS_IT_IS
    width: int | None = None
    height: int | None = None

    def __str__(self) -> str:
        if self.width is None or self.height is None:
            return f"any size, {self.fit}"
        return f"{self.width}x{self.height}, {self.fit}"


@runtime_checkable
class Recogniser(Protocol):
    """Sees things in decoded machine layers. Called by one thread at a time, never on the event loop."""

    @property
    def name(self) -> str:
        """Name and version of the model, published with every result."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that a detection or a segment may have."""

    @property
    def most_at_once(self) -> int:
        """Pictures of one call, at most."""

    @property
    def inputs(self) -> InputPolicy:
        """What becomes of a picture before the model sees it."""

    @property
    def device(self) -> Device:
        """Where it runs: CPU or CUDA."""

    def warm_up(self) -> None:
        """Do at once what would make the first call slow. Called before the first one, and never with it."""

    def recognise(self, images: Sequence[Picture]) -> list[Seen]:
        """What is in each of `images`, uint8 HxWx3 RGB of any sizes; no picture has a say in another's result."""


class BaseRecogniser(ABC):
    """What recognisers have in common, unless they say otherwise."""

    labels: tuple[str, ...] = ()
    most_at_once: int = 1
    inputs: InputPolicy = InputPolicy()
    device: Device = Device.CPU

    def warm_up(self) -> None:
        """Look at one grey picture, and at as many at once as there may be: memory is had for both, kernels chosen."""
        grey = np.full((*_WARM_UP_SIZE, 3), 114, np.uint8)
        for count in sorted({1, self.most_at_once}):
            self.recognise([grey] * count)

    @abstractmethod
    def recognise(self, images: Sequence[Picture]) -> list[Seen]:
        """What is in each of `images`, uint8 HxWx3 RGB of any sizes."""


class OneByOne(BaseRecogniser):
    """A recogniser whose model takes one picture."""

    def recognise(self, images: Sequence[Picture]) -> list[Seen]:
        """What is in each of `images`, uint8 HxWx3 RGB."""
        return [self.see(image) for image in images]

    @abstractmethod
    def see(self, image: Picture) -> Seen:
        """What is in `image`, uint8 HxWx3 RGB."""


class NoRecogniser(OneByOne):
    """Sees nothing: for a server that only keeps frames and makes views."""

    name = "none"

    def warm_up(self) -> None:
        """Nothing to do."""

    def see(self, image: Picture) -> Seen:
        """Nothing, whatever the picture."""
        return Seen()
