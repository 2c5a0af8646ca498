"""Layered image coding for machines and people: the codec of Secondsight."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Waiting threads have to sleep, not spin: two that spin make an encoder several times slower as soon as another process
# wants one of two cores. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from shared_models import errors
    from shared_models.bitstream import FrameType, Header, Layer
    from shared_models.codec import Codec, EncodedFrame, load_codec
    from shared_models.device import use_threads
    from shared_models.errors import BitstreamError, CodecError
    from shared_models.group import GroupEncoder, GroupFrame
    from shared_models.reference import Reference

__all__ = [
    "BitstreamError",
    "Codec",
    "CodecError",
    "EncodedFrame",
    "FrameType",
    "GroupEncoder",
    "GroupFrame",
    "Header",
    "Layer",
    "Reference",
    "errors",
    "load_codec",
    "use_threads",
]

_HOMES = {
    "BitstreamError": "errors",
    "Codec": "codec",
    "CodecError": "errors",
    "EncodedFrame": "codec",
    "FrameType": "bitstream",
    "GroupEncoder": "group",
    "GroupFrame": "group",
    "Header": "bitstream",
    "Layer": "bitstream",
    "Reference": "reference",
    "load_codec": "codec",
    "use_threads": "device",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: training must do without the entropy coder's packages."""
    if name == "errors":
        return import_module("shared_models.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'shared_models' has no attribute {name!r}")
    return getattr(import_module(f"shared_models.{_HOMES[name]}"), name)
