"""Where a picture comes from, said within its file: whoever is handed it can go back to the frame and to the record.

EXIF in every format: when it was captured in the tags that programs for photos read, all of it as JSON in UserComment.
In PNG also as one text chunk for each field.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from shared_models import errors as codec_errors
from shared_models.bitstream import Bitstream, Layer

_UNKNOWN: Final = "unknown"
_SOFTWARE: Final = "Secondsight"
_EXIF_TIME: Final = "%Y:%m:%d %H:%M:%S"
_COMMENT_CODE: Final = b"ASCII\x00\x00\x00"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a picture shows, and who took it out when.

    Attributes:
        captured_at: by the clock of the camera's host, UTC.
        model: identity of the codec's weights and tables.
        slices: of the enhancement layer; None in a machine view.
        width: pixels that it was shrunk to; None when it was not.
        request: of the record in the audit; empty where there is none.
    """

    camera: str
    frame: str
    captured_at: datetime
    model: str
    view: str
    slices: int | None
    width: int | None
    taken_by: str
    taken_at: datetime
    request: str

    @property
    def fields(self) -> dict[str, str]:
        """By name, as text; without what is not known."""
        told = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }
        return {name: str(value) for name, value in told.items() if value not in (None, "")}

    @property
    def name(self) -> str:
        """For a file, without its ending."""
        slices = "" if self.slices is None else f"-{self.slices}"
        return f"{self.camera}-{self.frame}-{self.view}{slices}"

    def options(self, image_format: str) -> dict[str, Any]:
        """For Pillow's `save`."""
        options: dict[str, Any] = {"exif": self._exif()}
        if image_format == "png":
            options["pnginfo"] = self._text()
        return options

    def _exif(self) -> Image.Exif:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = (
            f"{self.view} view of frame {self.frame} of camera {self.camera}, decoded from "
            f"{'its machine layer' if self.slices is None else 'both layers'}"
        )
        exif[ExifTags.Base.Software] = _SOFTWARE
        exif[ExifTags.Base.DateTime] = self.taken_at.strftime(_EXIF_TIME)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[ExifTags.Base.DateTimeOriginal] = self.captured_at.strftime(_EXIF_TIME)
        details[ExifTags.Base.SubsecTimeOriginal] = f"{self.captured_at.microsecond:06}"
        details[ExifTags.Base.OffsetTimeOriginal] = details[ExifTags.Base.OffsetTime] = "+00:00"
        details[ExifTags.Base.UserComment] = _COMMENT_CODE + json.dumps(self.fields).encode("ascii")
        return exif

    def _text(self) -> PngInfo:
        text = PngInfo()
        text.add_text("Software", _SOFTWARE)
        text.add_text("Creation Time", self.captured_at.isoformat())
        for name, value in self.fields.items():
            text.add_itxt(f"secondsight:{name}", value)
        return text


def model_of(machine_layer: bytes) -> str:
    """Identity of the codec model that a machine layer was coded with, hexadecimal."""
    try:
        return Bitstream.parsed(machine_layer, Layer.MACHINE).header.model_id.hex()
    except codec_errors.CodecError:
        return _UNKNOWN
