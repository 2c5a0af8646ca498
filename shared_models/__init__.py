"""Layered image coding for machines and people: the codec of Secondsight."""

from shared_models import errors
from shared_models.bitstream import Header, Layer
from shared_models.codec import Codec, EncodedFrame, load_codec
from shared_models.errors import BitstreamError, CodecError

__all__ = [
    "BitstreamError",
    "Codec",
    "CodecError",
    "EncodedFrame",
    "Header",
    "Layer",
    "errors",
    "load_codec",
]
