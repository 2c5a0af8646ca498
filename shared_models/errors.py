"""Everything that can go wrong in the codec.

::

    CodecError
    +-- ImageError                  the picture cannot be encoded
    +-- QualityError                no such quality level
    +-- SlicesError                 no such number of slices, or more than the stream holds
    +-- WeightsError                the weights file is missing, damaged or of another profile
    |   +-- ProfileError            there is no such profile
    +-- DeviceError                 the device that was asked for is not there
    +-- PeerError                   a codec to compare with is missing or failed
    +-- ResultsError                a file of measurements is missing, damaged or about another model
    +-- TrainingError
    |   +-- TrainingDataError       the training photos cannot be used
    |   |   +-- PhotoError          a photo's file cannot be used, here or anywhere
    |   +-- MaskError               edge masks cannot be made
    |   +-- CheckpointError         the checkpoint belongs to another run
    |   +-- RecipeError             a recipe's numbers are wrong
    |   +-- PackError               a run cannot be packed
    +-- BitstreamError              the bytes cannot be decoded
        +-- MagicError              not a Secondsight bitstream
        +-- VersionError            a format version that this software does not know
        +-- LayerError              the other layer's bitstream
        +-- ModelError              coded with another model
        +-- FrameSizeError          a frame size outside the limits
        +-- FrameTypeError          a frame type that this software does not know
        +-- TruncatedError          bytes are missing
        +-- TrailingDataError       bytes are left over
        +-- CorruptError            a checksum or a field is wrong
        +-- MismatchError           machine and enhancement layer belong to different frames
        +-- ReferenceMissingError   a predicted frame without the frame that it was predicted from
        +-- DesynchronisedError     decoded integers differ from the encoder's
"""

from __future__ import annotations

from typing import ClassVar, Final

_USAGE: Final = 2


class CodecError(Exception):
    """Root of everything that the codec raises on purpose.

    `exit_code` is what the command line ends with: 2 where what was asked for cannot be, else 1.
    """

    exit_code: ClassVar[int] = 1


class ImageError(CodecError, ValueError):
    """The picture cannot be encoded."""


class QualityError(CodecError, ValueError):
    """No such quality level."""

    exit_code = _USAGE


class SlicesError(CodecError, ValueError):
    """No such number of slices, or more than the stream holds."""

    exit_code = _USAGE


class WeightsError(CodecError):
    """The weights file is missing, damaged or of another profile."""


class ProfileError(WeightsError):
    """There is no such profile."""

    exit_code = _USAGE


class DeviceError(CodecError):
    """The device that was asked for is not there."""

    exit_code = _USAGE


class PeerError(CodecError):
    """A codec to compare with is missing or failed."""


class ResultsError(CodecError):
    """A file of measurements is missing, damaged or about another model."""


class TrainingError(CodecError):
    """Training cannot start or go on."""


class TrainingDataError(TrainingError):
    """The training photos cannot be used."""


class PhotoError(TrainingDataError):
    """A photo's file, of those for training or any other, cannot be used."""


class MaskError(TrainingError):
    """Edge masks cannot be made."""


class CheckpointError(TrainingError):
    """The checkpoint belongs to another run."""


class RecipeError(TrainingError, ValueError):
    """A recipe's numbers are wrong."""


class PackError(TrainingError):
    """A run cannot be packed."""


class BitstreamError(CodecError, ValueError):
    """The bytes cannot be decoded."""


class MagicError(BitstreamError):
    """Not a Secondsight bitstream."""


class VersionError(BitstreamError):
    """A format version that this software does not know."""


class LayerError(BitstreamError):
    """The other layer's bitstream."""


class ModelError(BitstreamError):
    """Coded with another model."""


class FrameSizeError(BitstreamError):
    """A frame size outside the limits."""


class FrameTypeError(BitstreamError):
    """A frame type that this software does not know."""


class TruncatedError(BitstreamError):
    """Bytes are missing."""


class TrailingDataError(BitstreamError):
    """Bytes are left over."""


class CorruptError(BitstreamError):
    """A checksum or a field is wrong."""


class MismatchError(BitstreamError):
    """Machine and enhancement layer belong to different frames."""


class ReferenceMissingError(BitstreamError):
    """A predicted frame without the frame that it was predicted from."""


class DesynchronisedError(BitstreamError):
    """The decoded integers differ from the encoder's: the two sides do not compute alike."""
