"""Recognisers, by name.

Those of other packages announce themselves by an entry point of the group ``secondsight.recognisers``: its name is the
recogniser's, its object a `Factory`.
"""

from __future__ import annotations

from importlib import metadata
from typing import Final, Protocol, cast

from server.errors import InvalidRecogniserError, RecogniserError, UnknownRecogniserError
from server.recogniser_device import Device
from server.recognition.recogniser import (
    BaseRecogniser,
    Fit,
    InputPolicy,
    NoRecogniser,
    OneByOne,
    Recogniser,
)
from server.recognition.seen import Detection, Keypoint, Mask, Seen, Segment, Segmentation

__all__ = [
    "ENTRY_POINTS",
    "RECOGNISERS",
    "BaseRecogniser",
    "Detection",
    "Device",
    "Fit",
    "InputPolicy",
    "Keypoint",
    "Mask",
    "NoRecogniser",
    "OneByOne",
    "Recogniser",
    "Seen",
    "Segment",
    "Segmentation",
    "known_recognisers",
    "load_recogniser",
]

_PACKAGED: Final = ("ssd-mobilenet", "nanodet", "persons")
RECOGNISERS: Final = (*_PACKAGED, "onnx:PATH", "none")
ENTRY_POINTS: Final = "secondsight.recognisers"
_PROMISED: Final = ("name", "labels", "most_at_once", "inputs", "device", "warm_up", "recognise")


class Factory(Protocol):
    """Makes a recogniser of another package."""

    def __call__(self, address: str, *, minimum_score: float, threads: int, device: Device) -> Recogniser:
        """The recogniser, its model loaded; `address` is what follows its name and a colon, or empty."""


def known_recognisers() -> tuple[str, ...]:
    """Addresses of all that need nothing more to be known: packaged ones, whether installed or not, and others'."""
    others = sorted(point.name for point in metadata.entry_points(group=ENTRY_POINTS))
    return (*_PACKAGED, *others)


def load_recogniser(
    address: str, *, minimum_score: float, threads: int, device: Device = Device.AUTO
) -> Recogniser:
    """The recogniser of this address, its model loaded: a name, or a name, a colon and what the recogniser is to know.

    Raises:
        UnknownRecogniserError: there is none.
        RecogniserNotInstalledError: its model is missing.
        InvalidRecogniserError: its model is not what the address says.
        RecogniserDeviceError: it cannot run there.
    """
    name, _, rest = address.partition(":")
    if name == "onnx":
        from server.recognition.onnx_recogniser import load_onnx

        return load_onnx(rest, minimum_score=minimum_score, threads=threads, device=device)
    if name == "persons":
        from server.recognition.persons import Persons

        # The default detector knows no CUDA, the outlines do.
        of_detector = Device.AUTO if not rest or rest == "ssd-mobilenet" else device
        detector = load_recogniser(
            rest or "ssd-mobilenet", minimum_score=minimum_score, threads=threads, device=of_detector
        )
        return Persons(detector, threads=threads, device=device)
    if rest and name in ("none", "ssd-mobilenet", "nanodet"):
        raise InvalidRecogniserError(f"{name} takes nothing behind its name, not {rest!r}")
    if name == "none":
        return NoRecogniser()
    if name == "ssd-mobilenet":
        from server.recognition.ssd_mobilenet import SsdMobileNet

        return SsdMobileNet(minimum_score=minimum_score, threads=threads, device=device)
    if name == "nanodet":
        from server.recognition.nanodet import NanoDet

        return NanoDet(minimum_score=minimum_score, threads=threads, device=device)
    others = {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
    if name in others:
        try:
            factory = cast(Factory, others[name].load())
            made = factory(rest, minimum_score=minimum_score, threads=threads, device=device)
            lacking = [promised for promised in _PROMISED if not hasattr(made, promised)]
        except RecogniserError:
            raise
        except Exception as error:  # other people's code
            raise InvalidRecogniserError(
                f"the recogniser {name}, {others[name].value}, cannot be made ({type(error).__name__}: {error}); mend "
                "the package that it comes in, or remove it"
            ) from error
        if lacking:
            raise InvalidRecogniserError(
                f"the recogniser {name} has no {', '.join(lacking)}: derive it from server.recognition.OneByOne, or "
                "BaseRecogniser for several pictures at once"
            )
        return made
    raise UnknownRecogniserError(name, (*RECOGNISERS, *sorted(others)))
