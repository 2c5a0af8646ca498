"""Layered image coding for machines and people: the codec of Secondsight."""

import os

# Waiting threads have to sleep, not spin: two that spin make an encoder several times slower as soon as another process
# wants one of two cores. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from shared_models import errors
from shared_models.bitstream import Header, Layer
from shared_models.codec import Codec, EncodedFrame, load_codec
from shared_models.device import use_threads
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
    "use_threads",
]
