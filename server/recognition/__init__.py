"""Recognisers, by name.

Those of other packages announce themselves by an entry point of the group ``secondsight.recognisers``: its name is the
recogniser's, its object a `Factory`.
"""

from __future__ import annotations

from importlib import metadata
from typing import Final, Protocol, cast

from server.errors import InvalidRecogniserError, UnknownRecogniserError
from server.recognition.recogniser import NoRecogniser, OneByOne, Recogniser
from server.recognition.seen import Detection, Keypoint, Mask, Seen, Segment, Segmentation

__all__ = [
    "ENTRY_POINTS",
    "RECOGNISERS",
    "Detection",
    "Keypoint",
    "Mask",
    "NoRecogniser",
    "OneByOne",
    "Recogniser",
    "Seen",
    "Segment",
    "Segmentation",
    "load_recogniser",
]

RECOGNISERS: Final = ("ssd-mobilenet", "nanodet", "persons", "onnx:PATH", "none")
ENTRY_POINTS: Final = "secondsight.recognisers"


class Factory(Protocol):
    """Makes a recogniser of another package."""

    def __call__(self, address: str, *, minimum_score: float, threads: int) -> Recogniser:
        """The recogniser, its model loaded; `address` is what follows its name and a colon, or empty."""


def load_recogniser(address: str, *, minimum_score: float, threads: int) -> Recogniser:
    """The recogniser of this address, its model loaded: a name, or a name, a colon and what the recogniser is to know.

    Raises:
        UnknownRecogniserError: there is none.
        RecogniserNotInstalledError: its model is missing.
        InvalidRecogniserError: its model is not what the address says.
    """
    name, _, rest = address.partition(":")
    if name == "onnx":
        from server.recognition.onnx_recogniser import load_onnx

        return load_onnx(rest, minimum_score=minimum_score, threads=threads)
    if name == "persons":
        from server.recognition.persons import Persons

        detector = load_recogniser(rest or "ssd-mobilenet", minimum_score=minimum_score, threads=threads)
        return Persons(detector, threads=threads)
    if rest and name in ("none", "ssd-mobilenet", "nanodet"):
        raise InvalidRecogniserError(f"{name} takes nothing behind its name, not {rest!r}")
    if name == "none":
        return NoRecogniser()
    if name == "ssd-mobilenet":
        from server.recognition.ssd_mobilenet import SsdMobileNet

        return SsdMobileNet(minimum_score=minimum_score, threads=threads)
    if name == "nanodet":
        from server.recognition.nanodet import NanoDet

        return NanoDet(minimum_score=minimum_score, threads=threads)
    others = {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
    if name in others:
        factory = cast(Factory, others[name].load())
        return factory(rest, minimum_score=minimum_score, threads=threads)
    raise UnknownRecogniserError(name, (*RECOGNISERS, *sorted(others)))
