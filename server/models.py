"""Loads what a process decodes and recognises with, as its configuration says."""

from __future__ import annotations

from server.config import ServerConfig
from server.recognition import Recogniser, load_recogniser
from shared_models import Codec, load_codec, use_threads


def configured_codec(config: ServerConfig) -> Codec:
    """The codec, with its threads."""
    use_threads(config.codec_threads)
    return load_codec(config.profile, device=config.device)


def configured_recogniser(config: ServerConfig) -> Recogniser:
    """The recogniser.

    Raises:
        RecogniserError: there is none such.
    """
    return load_recogniser(
        config.recogniser,
        minimum_score=config.minimum_score,
        threads=config.recogniser_threads,
        device=config.recogniser_device,
    )
