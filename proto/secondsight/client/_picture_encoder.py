"""Pictures of one camera to layers. The only part of the client that needs the codec, and so torch."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secondsight.client._exceptions import PictureError, SettingsError
from secondsight.client._outbox import Layers, Pushed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Picture = NDArray[np.uint8] | Image.Image | bytes | Path | str
    """RGB as uint8, height x width x 3; a Pillow picture; or a file that Pillow reads, by its bytes or its path. The
    latter two are turned upright by their EXIF."""


class PictureEncoder:
    """Encodes pictures in the order of their calls, each predicted from the last key frame where that pays.

    Args:
        profile, device: of the codec, as for ``secondsight encode``.
        quality, machine_quality, slices: levels, of predicted frames, and slices; the codec's defaults when None.

    Raises:
        SettingsError: the codec is not installed, or has no such profile.
    """

    def __init__(
        self,
        *,
        profile: str = "lite",
        device: str = "auto",
        quality: int | None = None,
        machine_quality: int | None = None,
        slices: int | None = None,
    ) -> None:
        try:
            from shared_models import CodecError, GroupEncoder, load_codec
        except ImportError as error:
            raise SettingsError(
                f"pictures cannot be encoded here: the package {error.name!r} is missing; install secondsight whole, "
                "or push layers that were encoded elsewhere"
            ) from error
        self._codec_error = CodecError
        try:
            codec = load_codec(profile, device=device)
            codec.operating_point(quality, machine_quality, slices)
        except CodecError as error:
            raise SettingsError(str(error)) from error
        self.model = codec.predicting_id
        self._slices = codec.config.enhancement_slices if slices is None else slices
        self._levels = {"quality": quality, "machine_quality": machine_quality, "slices": slices}
        self._encoder = GroupEncoder(codec)
        self._turn = 0

    def request_key(self) -> None:
        """Make the next frame a key frame."""
        self._encoder.request_key()

    def encode(self, picture: Picture, newest_key: Pushed | None) -> tuple[Layers, int]:
        """The layers of a picture, and how long that took, microseconds.

        Args:
            newest_key: the last frame that was a key frame.

        Raises:
            PictureError: it is none, or has a size that cannot be encoded.
        """
        try:
            pixels = _pixels(picture)
        except self._codec_error as error:
            raise PictureError(str(error)) from error
        if newest_key is None:
            self._encoder.request_key()
        began = time.perf_counter_ns()
        turn = self._encoder.turn()
        try:
            coded = self._encoder.encode(pixels, turn, **self._levels)
        except self._codec_error as error:
            raise PictureError(str(error)) from error
        layers = Layers(
            machine=coded.machine,
            enhancement=coded.enhancement,
            slices=self._slices,
            key=None if coded.key == turn else newest_key,
        )
        return layers, (time.perf_counter_ns() - began) // 1000


def _pixels(picture: Any) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    from shared_models.photo_file import pixels_of_picture, read_picture

    if isinstance(picture, Image.Image):
        return pixels_of_picture(picture)
    if isinstance(picture, (bytes, str, Path)):
        return read_picture(io.BytesIO(picture) if isinstance(picture, bytes) else Path(picture))
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3:
        return picture
    raise PictureError(
        "a picture is uint8 of height x width x 3, a Pillow picture, or a file that Pillow reads"
    )
