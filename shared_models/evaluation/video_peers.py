"""Intra frames of video codecs, coded and decoded by the FFmpeg that the package `imageio-ffmpeg` bundles."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from shared_models.errors import PeerError

_LARGEST_SAMPLE: Final = 2**16 - 1
_STEP: Final = _LARGEST_SAMPLE // 255
"""Of an 8-bit sample, in 16-bit samples."""


@dataclass(frozen=True)
class FfmpegPeer:
    """One intra frame as a raw elementary stream: no container, no SEI, nothing that one picture can do without.

    RGB becomes BT.601 YCbCr of full range and `pixel_format`, and RGB again, by zimg (FFmpeg's `zscale`) with the
    same matrix, range, chroma position and Lanczos filter both ways; at 4:4:4 and 10 bits that alone gives back every
    8-bit sample as it was.

    `encoder` are FFmpeg's options; `stream` is the name of the elementary stream's format; `multiple` is what width and
    height have to be multiples of. A picture that is none is padded, and one byte in front of the stream, which
    itself starts with a zero, tells how to cut it: 16 * rows + columns.
    """

    name: str
    encoder: tuple[str, ...]
    stream: str
    pixel_format: str
    multiple: int
    ladder: tuple[int, ...]
    dial: ClassVar[str] = "QP"
    counts: ClassVar[str] = "the elementary stream"

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to a stream.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        return self.encode_samples(image.astype(np.uint16) * np.uint16(_STEP), quality)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A stream to (H, W, 3) uint8 RGB.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        rounded = (self.decode_samples(data).astype(np.uint32) + _STEP // 2) // _STEP
        return rounded.astype(np.uint8)

    def encode_samples(self, samples: NDArray[np.uint16], quality: int) -> bytes:
        """(H, W, 3) RGB samples of the full 16-bit range to a stream.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        rows, columns = (-side % self.multiple for side in samples.shape[:2])
        padded = np.pad(samples, ((0, rows), (0, columns), (0, 0)), mode="edge")
        height, width = padded.shape[:2]
        stream = _ffmpeg(
            *("-f", "rawvideo", "-pix_fmt", "rgb48le", "-video_size", f"{width}x{height}", "-i", "pipe:"),
            *("-vf", f"format=gbrp16,{_converted('gbr', _MATRIX)},format={self.pixel_format}"),
            *(
                *self.encoder,
                "-qp",
                str(quality),
                "-frames:v",
                "1",
                "-threads",
                "1",
                "-f",
                self.stream,
                "pipe:",
            ),
            data=padded.astype("<u2").tobytes(),
        )
        return bytes([16 * rows + columns]) + stream if rows or columns else stream

    def decode_samples(self, data: bytes) -> NDArray[np.uint16]:
        """A stream to (H, W, 3) RGB samples of the full 16-bit range.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        rows, columns = divmod(data[0], 16) if data else (0, 0)
        picture = _ffmpeg(
            *("-f", self.stream, "-i", "pipe:"),
            *("-vf", f"{_converted(_MATRIX, 'gbr')},format=gbrp16", "-frames:v", "1"),
            *("-c:v", "ppm", "-pix_fmt", "rgb48be", "-threads", "1", "-f", "image2pipe", "pipe:"),
            data=data[1:] if rows or columns else data,
        )
        _, size, _, samples = picture.split(b"\n", 3)
        width, height = (int(side) for side in size.split())
        decoded = np.frombuffer(samples, ">u2").reshape(height, width, 3).astype(np.uint16)
        return decoded[: height - rows, : width - columns]


_MATRIX: Final = "170m"


def _converted(source: str, target: str) -> str:
    return (
        f"zscale=matrixin={source}:matrix={target}:rangein=full:range=full"
        ":chromalin=left:chromal=left:filter=lanczos:dither=none"
    )


@cache
def _ffmpeg_path() -> str:
    remedy = "install the extra `evaluation` (make install does)"
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise PeerError(f"x265 and VVC need FFmpeg, from the package imageio-ffmpeg: {remedy}") from error
    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise PeerError(
            f"imageio-ffmpeg has no FFmpeg for this machine, which x265 and VVC need: {error}"
        ) from error
    return path


def _ffmpeg(*arguments: str, data: bytes) -> bytes:
    """Standard output of FFmpeg for `data` on its standard input."""
    path = _ffmpeg_path()
    command = [path, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments]
    try:
        result = subprocess.run(command, input=data, capture_output=True, check=False)
    except OSError as error:
        raise PeerError(f"{path} cannot be run ({error}): correct or unset IMAGEIO_FFMPEG_EXE") from error
    if result.returncode or not result.stdout:
        said = result.stderr.decode(errors="replace").strip().splitlines() or ["nothing came out"]
        raise PeerError(
            f"{path} failed: {said[0]}; if IMAGEIO_FFMPEG_EXE is set, unset it: the FFmpeg that imageio-ffmpeg bundles "
            "has libvvenc, libx265 and zscale"
        )
    return result.stdout


X265: Final = FfmpegPeer(
    "x265 intra (libx265, 4:4:4, 10 bits, preset slow, tune psnr)",
    (
        *("-c:v", "libx265", "-preset", "slow", "-tune", "psnr"),
        *("-x265-params", "info=0:log-level=none:pools=1:frame-threads=1"),
    ),
    stream="hevc",
    pixel_format="yuv444p10le",
    multiple=1,
    ladder=(22, 27, 32, 37, 42, 47),
)
VVC: Final = FfmpegPeer(
    "VVC intra (libvvenc, 4:2:0, 10 bits, preset medium)",
    (
        *("-c:v", "libvvenc", "-preset", "medium", "-qpa", "0"),
        *("-vvenc-params", "accessunitdelimiter=0:hrdparameterspresent=0"),
    ),
    stream="vvc",
    pixel_format="yuv420p10le",
    multiple=2,
    ladder=(27, 32, 37, 42, 47),
)
VVC_FASTER: Final = replace(
    VVC,
    name="VVC intra (libvvenc, 4:2:0, 10 bits, preset faster)",
    encoder=("-c:v", "libvvenc", "-preset", "faster", "-qpa", "0"),
)
