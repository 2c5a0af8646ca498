"""Recognisers, by name."""

from __future__ import annotations

from server.errors import UnknownRecogniserError
from server.recognition.recogniser import Detection, NoRecogniser, Recogniser

__all__ = ["RECOGNISERS", "Detection", "NoRecogniser", "Recogniser", "load_recogniser"]

RECOGNISERS = ("ssd-mobilenet", "nanodet", "none")


def load_recogniser(name: str, *, minimum_score: float, threads: int) -> Recogniser:
    """The recogniser of this name, its model loaded.

    Raises:
        UnknownRecogniserError: there is none.
        RecogniserNotInstalledError: its model is missing.
    """
    if name == "none":
        return NoRecogniser()
    if name == "ssd-mobilenet":
        from server.recognition.ssd_mobilenet import SsdMobileNet

        return SsdMobileNet(minimum_score=minimum_score, threads=threads)
    if name == "nanodet":
        from server.recognition.nanodet import NanoDet

        return NanoDet(minimum_score=minimum_score, threads=threads)
    raise UnknownRecogniserError(name, RECOGNISERS)
