"""Video codecs, intra frames and whole streams, run by the FFmpeg that the package `imageio-ffmpeg` bundles."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import IO, ClassVar, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared_models.errors import PeerError

_Sample = TypeVar("_Sample", bound=np.generic)
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
        rows, columns = _missing(samples.shape, self.multiple)
        padded = _padded(samples, rows, columns)
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
        return _marked(stream, rows, columns)

    def decode_samples(self, data: bytes) -> NDArray[np.uint16]:
        """A stream to (H, W, 3) RGB samples of the full 16-bit range.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        stream, rows, columns = _unmarked(data)
        picture = _ffmpeg(
            *("-f", self.stream, "-i", "pipe:"),
            *("-vf", f"{_converted(_MATRIX, 'gbr')},format=gbrp16", "-frames:v", "1"),
            *("-c:v", "ppm", "-pix_fmt", "rgb48be", "-threads", "1", "-f", "image2pipe", "pipe:"),
            data=stream,
        )
        _, size, _, samples = picture.split(b"\n", 3)
        width, height = (int(side) for side in size.split())
        decoded = np.frombuffer(samples, ">u2").reshape(height, width, 3).astype(np.uint16)
        return decoded[: height - rows, : width - columns]


@dataclass(frozen=True)
class FfmpegStreamPeer:
    """All frames of a clip as one raw elementary stream of 4:2:0 and 8 bits, every frame coded as it comes.

    Colours are converted as for intra frames, there and back, which alone costs less than what FFmpeg's own scaler
    would: 46 to 50 dB are left on camera clips, well above what is compared. Parameter sets stand before every key
    frame, as a camera's do, for who joins there; encoders' notes about themselves (SEI) are taken out.

    `encoder` are FFmpeg's options and `stream` the elementary stream's format, as in `FfmpegPeer`; frames of odd width
    or height are padded likewise, for one byte of the whole stream.
    """

    name: str
    encoder: tuple[str, ...]
    stream: str
    ladder: tuple[int, ...]
    dial: ClassVar[str] = "CRF"
    counts: ClassVar[str] = "the elementary stream"

    def encode(
        self, frames: Iterable[NDArray[np.uint8]], quality: int, *, frame_rate: Fraction, keyint: int
    ) -> bytes:
        """(H, W, 3) uint8 RGB frames of one size to a stream.

        Args:
            frame_rate: frames per second; both encoders weigh frames by how long they are seen.
            keyint: frames from one key frame to the next, at most.

        Raises:
            PeerError: FFmpeg is missing or failed, or there is no frame.
        """
        coming = iter(frames)
        first = next(coming, None)
        if first is None:
            raise PeerError(f"{self.name}: a stream needs at least one frame")
        rows, columns = _missing(first.shape, _CHROMA_STEP)
        height, width = first.shape[0] + rows, first.shape[1] + columns
        arguments = (
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{height}"),
            *("-framerate", str(frame_rate), "-i", "pipe:"),
            *("-vf", f"format=gbrp,{_converted('gbr', _MATRIX)},format=yuv420p"),
            *(*self.encoder, "-crf", str(quality), "-g", str(keyint)),
            *("-fps_mode", "passthrough", "-threads", "1", "-f", self.stream, "pipe:"),
        )
        raw = (_padded(frame, rows, columns).tobytes() for frame in chain([first], coming))
        with _ffmpeg_fed(*arguments, chunks=raw) as out:
            stream = out.read()
        return _marked(stream, rows, columns)

    def decode(self, data: bytes) -> Iterator[NDArray[np.uint8]]:
        """A stream to (H, W, 3) uint8 RGB frames.

        Raises:
            PeerError: FFmpeg is missing or failed.
        """
        stream, rows, columns = _unmarked(data)
        arguments = (
            *("-f", self.stream, "-i", "pipe:"),
            *("-vf", f"{_converted(_MATRIX, 'gbr')},format=gbrp", "-fps_mode", "passthrough"),
            *("-c:v", "ppm", "-pix_fmt", "rgb24", "-threads", "1", "-f", "image2pipe", "pipe:"),
        )
        with _ffmpeg_fed(*arguments, chunks=[stream]) as out:
            while out.readline():
                width, height = (int(side) for side in out.readline().split())
                out.readline()
                samples = out.read(width * height * 3)
                if len(samples) < width * height * 3:
                    break
                frame = np.frombuffer(samples, np.uint8).reshape(height, width, 3)
                yield frame[: height - rows, : width - columns]


_MATRIX: Final = "170m"
_CHROMA_STEP: Final = 2
"""Luma samples per chroma sample of 4:2:0, in either direction."""


def _converted(source: str, target: str) -> str:
    return (
        f"zscale=matrixin={source}:matrix={target}:rangein=full:range=full"
        ":chromalin=left:chromal=left:filter=lanczos:dither=none"
    )


def _missing(shape: tuple[int, ...], multiple: int) -> tuple[int, int]:
    """Rows and columns by which a picture falls short of a multiple."""
    return -shape[0] % multiple, -shape[1] % multiple


def _padded(picture: NDArray[_Sample], rows: int, columns: int) -> NDArray[_Sample]:
    return np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _marked(stream: bytes, rows: int, columns: int) -> bytes:
    """The stream, behind a byte that tells what was padded if anything was; a stream itself starts with a zero."""
    return bytes([16 * rows + columns]) + stream if rows or columns else stream


def _unmarked(data: bytes) -> tuple[bytes, int, int]:
    """The stream, rows and columns that `_marked` was given."""
    rows, columns = divmod(data[0], 16) if data else (0, 0)
    return (data[1:] if rows or columns else data), rows, columns


@cache
def _ffmpeg_path() -> str:
    remedy = "install the extra `evaluation` (make install does)"
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise PeerError(
            f"x264, x265 and VVC need FFmpeg, from the package imageio-ffmpeg: {remedy}"
        ) from error
    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise PeerError(
            f"imageio-ffmpeg has no FFmpeg for this machine, which x264, x265 and VVC need: {error}"
        ) from error
    return path


def _ffmpeg(*arguments: str, data: bytes) -> bytes:
    """Standard output of FFmpeg for `data` on its standard input."""
    with _ffmpeg_fed(*arguments, chunks=[data]) as out:
        return out.read()


@contextmanager
def _ffmpeg_fed(*arguments: str, chunks: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Standard output of an FFmpeg whose standard input is fed by a thread, so that neither side has to hold it all.

    Raises:
        PeerError: FFmpeg failed, or nothing came out.
    """
    path = _ffmpeg_path()
    command = [path, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments]
    with tempfile.TemporaryFile() as complaints, ThreadPoolExecutor(1) as feeder:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
        except OSError as error:
            raise PeerError(f"{path} cannot be run ({error}): correct or unset IMAGEIO_FFMPEG_EXE") from error
        assert process.stdin is not None and process.stdout is not None
        try:
            fed = feeder.submit(_feed, process.stdin, chunks)
            empty = not process.stdout.peek(1)  # type: ignore[attr-defined]  # a BufferedReader, as Popen makes it
            yield process.stdout
            fed.result()
            failed = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip().splitlines()
    if failed or empty:
        raise PeerError(
            f"{path} failed: {(said or ['nothing came out'])[0]}; if IMAGEIO_FFMPEG_EXE is set, unset it: the FFmpeg "
            "that imageio-ffmpeg bundles has libvvenc, libx264, libx265 and zscale"
        )


def _feed(pipe: IO[bytes], chunks: Iterable[bytes]) -> None:
    # Where FFmpeg gave up, its exit status and what it said tell why.
    with suppress(BrokenPipeError):
        try:
            for chunk in chunks:
                pipe.write(chunk)
        finally:
            pipe.close()


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
X264_STREAM: Final = FfmpegStreamPeer(
    "x264 (libx264, 4:2:0, 8 bits, preset veryfast, tune zerolatency)",
    (
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency"),
        *("-bsf:v", "filter_units=remove_types=6"),
    ),
    stream="h264",
    ladder=(24, 30, 36, 42, 48),
)
X265_STREAM: Final = FfmpegStreamPeer(
    "x265 (libx265, 4:2:0, 8 bits, preset fast, tune zerolatency)",
    (
        *("-c:v", "libx265", "-preset", "fast", "-tune", "zerolatency"),
        *("-x265-params", "info=0:log-level=none:pools=1:frame-threads=1:wpp=0"),
    ),
    stream="hevc",
    ladder=(26, 30, 34, 38, 42, 46, 50),
)
