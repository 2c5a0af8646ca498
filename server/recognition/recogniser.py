"""What the server asks of a recogniser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from server.recognition.seen import Seen
from shared_models.picture import Picture


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

    def recognise(self, images: Sequence[Picture]) -> list[Seen]:
        """What is in each of `images`, uint8 HxWx3 RGB of any sizes; no picture has a say in another's result."""


class OneByOne(ABC):
    """A recogniser whose model takes one picture."""

    most_at_once = 1

    def recognise(self, images: Sequence[Picture]) -> list[Seen]:
        """What is in each of `images`, uint8 HxWx3 RGB."""
        return [self.see(image) for image in images]

    @abstractmethod
    def see(self, image: Picture) -> Seen:
        """What is in `image`, uint8 HxWx3 RGB."""


class NoRecogniser(OneByOne):
    """Sees nothing: for a server that only keeps frames and makes views."""

    name = "none"
    labels: tuple[str, ...] = ()

    def see(self, image: Picture) -> Seen:
        """Nothing, whatever the picture."""
        return Seen()
