"""A network camera: numbered pictures as H.264 over RTSP (RFC 2326, RTP interleaved; RFC 6184), in real time.

``python camera.py PORT RATE EPOCH``. A picture's number follows from the clock alone, the monotonic one since EPOCH, so
that a camera that froze or was away goes on with later pictures, as the world does.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av

from tests.chaos.pictures import BITS, HEIGHT, WIDTH, picture

READY: Final = r"^camera ready"

_PAYLOAD_TYPE: Final = 96
_CLOCK_HZ: Final = 90_000
_LARGEST_PAYLOAD: Final = 1200
_FRAGMENT: Final = 28
_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=numbers\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}\r\na=rtpmap:{_PAYLOAD_TYPE} H264/{_CLOCK_HZ}\r\n"
    f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1\r\na=control:track1\r\n"
)


@dataclass(frozen=True)
class Camera:
    """Pictures since `epoch` (seconds of the monotonic clock), `rate` a second."""

    rate: float
    epoch: float

    async def serve(self, port: int) -> None:
        """Answer until cancelled."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", port)
        print("camera ready", flush=True)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        try:
            while request := await _request(reader):
                method, headers = request
                answer, body = [f"CSeq: {headers.get('CSeq', '0')}", "Session: 1"], ""
                if method == "OPTIONS":
                    answer.append(f"Public: {_METHODS}")
                elif method == "DESCRIBE":
                    body = _SDP
                    answer += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                elif method == "SETUP":
                    answer.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
                writer.write(("\r\n".join(["RTSP/1.0 200 OK", *answer, "", ""]) + body).encode())
                await writer.drain()
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(writer))
                if method == "TEARDOWN":
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
            writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base = Fraction(1, _CLOCK_HZ)
        encoder.framerate = Fraction(self.rate).limit_denominator(1000)
        encoder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "crf": "18",
            "g": "20",
            "threads": "1",
        }
        sequence = 0
        last = -1
        with contextlib.suppress(OSError):
            while True:
                now = (time.monotonic() - self.epoch) * self.rate
                number = int(now)
                if number == last:
                    await asyncio.sleep((number + 1 - now) / self.rate)
                    continue
                last = number
                stamp = round(number * _CLOCK_HZ / self.rate)
                frame = av.VideoFrame.from_ndarray(picture(number % 2**BITS), format="rgb24")
                frame.pts, frame.time_base = stamp, encoder.time_base
                units = [unit for packet in encoder.encode(frame) for unit in _units(bytes(packet))]
                for index, payload in enumerate(payloads := list(_payloads(units))):
                    marker = 0x80 if index == len(payloads) - 1 else 0
                    header = struct.pack(
                        ">BBHII", 0x80, marker | _PAYLOAD_TYPE, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 1
                    )
                    writer.write(struct.pack(">cBH", b"$", 0, len(header) + len(payload)) + header + payload)
                    sequence += 1
                await writer.drain()


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """Method and headers of the next request; receiver reports in between are passed over."""
    while (first := await reader.readexactly(1)) == b"$":
        _, length = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(length)
    head, *lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    return head.split()[0], dict(line.split(": ", 1) for line in lines if line)


def _units(stream: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream (H.264, annex B)."""
    for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        yield unit.rstrip(b"\0")


def _payloads(units: list[bytes]) -> Iterator[bytes]:
    """RTP payloads: whole units, or fragments of those that are too large (FU-A, RFC 6184, 5.8)."""
    for unit in units:
        if len(unit) <= _LARGEST_PAYLOAD:
            yield unit
            continue
        kind, body = unit[0], unit[1:]
        for start in range(0, len(body), _LARGEST_PAYLOAD):
            piece = body[start : start + _LARGEST_PAYLOAD]
            edges = (start == 0) << 7 | (start + len(piece) == len(body)) << 6
            yield bytes([kind & 0xE0 | _FRAGMENT, edges | kind & 0x1F]) + piece


if __name__ == "__main__":
    port, rate, epoch = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Camera(float(rate), float(epoch)).serve(int(port)))
