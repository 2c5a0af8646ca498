"""What keeps a site from working, found by trying each part once and starting none of it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import av
import grpc
import grpc.aio
from redis.exceptions import RedisError

from edge.capture import fitted
from edge.channel import call_metadata, open_channel
from edge.config import CaptureConfig, EdgeConfig, SiteConfig, TlsConfig
from edge.enhancement_store import open_store
from edge.errors import ConfigError, CredentialsError, EdgeError, SourceError
from edge.frame import CapturedFrame
from edge.metrics import Tally
from edge.site import encoder_of, encoders_of
from edge.sources import open_source
from secondsight.v1 import ingest_pb2, ingest_pb2_grpc
from shared_models import Codec, load_codec
from shared_models.config import LIMITS
from shared_models.errors import CodecError

_CLOCK_OFF_S: Final = 1.0
_FRAMES_LOOKED_AT: Final = 5
_LEAST_FREE_BYTES: Final = 64 * 2**20
_STATE_BYTES: Final = 2**20


class Level(StrEnum):
    """How bad it is. A site with a warning works, perhaps not for long."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part.

    Attributes:
        about: the part: a camera's source, the server, a store, a folder...
        remedy: what to do; empty where nothing is to be done.
    """

    level: Level
    about: str
    found: str
    remedy: str = ""


async def check_site(config: SiteConfig, patience_s: float) -> list[Finding]:
    """Try everything that the cameras of `config` need.

    Args:
        patience_s: for one answer of a camera, a server or a store.
    """
    findings = [*_check_machine(config), *_check_metrics(config)]
    codec = await asyncio.to_thread(_load, config, findings)
    cameras = config.cameras
    # One after the other: many cameras at once could be what a thin uplink does not bear.
    for camera in cameras:
        findings.append(await _check_source(camera, patience_s))
    for camera in cameras:
        findings.extend(await _check_server(camera, codec, patience_s))
    for store in dict.fromkeys((camera.store, camera.store_tls or camera.tls) for camera in cameras):
        findings.extend(await _check_store(*store, patience_s))
    findings.extend(_check_folders(cameras))
    return findings


def _check_machine(config: SiteConfig) -> Iterator[Finding]:
    cpus, encoders, threads = len(os.sched_getaffinity(0)), encoders_of(config), config.codec.threads
    found = f"{cpus} CPUs; {encoders} frames at a time, {threads} threads for an operation"
    if config.codec.device != "cuda" and max(encoders - 1, 1) * threads > cpus:
        remedy = f"lower `encoders` or `codec.threads`: together they take more than {cpus} CPUs"
        yield Finding(Level.WARNING, "threads", found, remedy)
    else:
        yield Finding(Level.OK, "threads", found)


def _check_metrics(config: SiteConfig) -> Iterator[Finding]:
    if config.metrics is None:
        return
    host, _, port = config.metrics.rpartition(":")
    try:
        with socket.create_server((host, int(port))):
            pass
    except (OSError, ValueError, OverflowError) as error:
        yield Finding(
            Level.WARNING,
            "metrics",
            f"{config.metrics}: {error}",
            "give a free HOST:PORT of this machine; if this site is running already, all is well",
        )
    else:
        yield Finding(Level.OK, "metrics", config.metrics)


def _load(config: SiteConfig, findings: list[Finding]) -> Codec | None:
    """The codec, if there is one; tells of it, and of levels that it does not have."""
    try:
        wanted = config.codec
        codec = load_codec(wanted.profile, device=wanted.device, eight_bit=wanted.eight_bit)
    except (CodecError, OSError) as error:
        findings.append(Finding(Level.ERROR, "codec", str(error), "mend `codec.profile` or `codec.device`"))
        return None
    device = f"{codec.device}, analyses in 8 bits" if codec.eight_bit else str(codec.device)
    found = f"profile {config.codec.profile} on {device}, model {codec.predicting_id.hex()[:12]}"
    findings.append(Finding(Level.OK, "codec", found))
    for camera in config.cameras:
        try:
            encoder_of(camera, codec).close()
        except ConfigError as error:
            findings.append(Finding(Level.ERROR, f"{camera.camera_id}: codec", *_told(error)))
    return codec


async def _check_source(camera: EdgeConfig, patience_s: float) -> Finding:
    about = f"{camera.camera_id}: source"
    stopped = threading.Event()
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[str] = loop.create_future()
    tally = Tally()
    try:
        source = open_source(camera.source, stopped, tally, camera.capture.watchdog)
    except EdgeError as error:
        return Finding(Level.ERROR, about, *_told(error, "mend `source`, or bring back what it names"))

    def settle(found: str | BaseException) -> None:
        if not outcome.done():
            outcome.set_result(found) if isinstance(found, str) else outcome.set_exception(found)

    def look() -> None:
        found: str | BaseException
        try:
            found = _looked_at(camera, [*islice(source.frames(), _FRAMES_LOOKED_AT)])
        except Exception as error:
            found = error
        # Whoever asked may have gone.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    # Not one of the loop's threads, whose end is waited for: a camera may hold this one for ever.
    threading.Thread(target=look, name="look", daemon=True).start()
    try:
        found = await asyncio.wait_for(outcome, patience_s)
    except TimeoutError:
        found = f"no frame within {patience_s:g} s, it is {tally.source}"
        return Finding(Level.ERROR, about, found, f"see the lines above; {_way_to(camera.source)}")
    except EdgeError as error:
        return Finding(Level.ERROR, about, *_told(error, "mend `source`, or bring back what it names"))
    finally:
        stopped.set()
        source.close()
    return Finding(Level.OK, about, found)


def _way_to(address: str) -> str:
    """What to do about a source that gives nothing."""
    if address.startswith(("/dev/", "v4l2:")):
        return "plug the camera in, give its device as `source`, and put this user in the group `video`"
    if address.startswith(("rtsp:", "rtsps:")):
        return "try the address in a player, and its user and password"
    return "try it in a player, or wait longer (--patience)"


def _looked_at(camera: EdgeConfig, frames: list[CapturedFrame]) -> str:
    """Size, pace and codec of a source that gave `frames`.

    Raises:
        SourceError: there is none, or none that can be encoded.
    """
    if not frames:
        raise SourceError("it holds no frame", "give a source with a picture")
    height, width = frames[0].image.shape[:2]
    _check_size(frames[0], camera.capture)
    spent_us = frames[-1].pts_us - frames[0].pts_us
    pace = f", {(len(frames) - 1) * 1e6 / spent_us:.1f} frames a second" if spent_us > 0 else ""
    return f"{width}x{height}{pace}{_codec_name(camera.source)}"


def _check_size(frame: CapturedFrame, capture: CaptureConfig) -> None:
    """Raises SourceError for a frame that is outside the codec's limits as it is taken."""
    (height, width), (taken_height, taken_width) = (
        image.shape[:2] for image in (frame.image, fitted(frame.image, capture.max_side))
    )
    if LIMITS.allow(taken_width, taken_height):
        return
    scaled = f", {taken_width}x{taken_height} by `capture.max_side`" if taken_width != width else ""
    if LIMITS.allow(width, height):
        remedy = "raise `capture.max_side`, or leave it out"
    elif min(width, height) < LIMITS.smallest_side:
        remedy = "give a source with a larger picture"
    else:
        remedy = "set `capture.max_side`, so that it is scaled to fit"
    raise SourceError(f"{width}x{height}{scaled} cannot be encoded: the codec takes {LIMITS}", remedy)


def _codec_name(address: str) -> str:
    if address.startswith(("/dev/", "v4l2:", "synthetic:")) or Path(address).is_dir():
        return ""
    with suppress(av.FFmpegError, OSError, IndexError), av.open(address, timeout=5.0) as container:
        return f", {container.streams.video[0].codec_context.name}"
    return ""


async def _check_server(camera: EdgeConfig, codec: Codec | None, patience_s: float) -> list[Finding]:
    """Ask the server, without opening a session: a running edge of this camera goes on."""
    about = f"{camera.camera_id}: server"
    secured = "plaintext" if camera.tls is None else "TLS"
    where = f"{camera.server}, {secured}{'' if camera.token_file is None else ', with a token'}"
    try:
        metadata = call_metadata(camera)
        channel = open_channel(camera)
    except EdgeError as error:
        return [
            Finding(
                Level.ERROR, about, *_told(error, "give files in PEM, and a token, that this user may read")
            )
        ]
    hello = ingest_pb2.Hello(
        camera_id=camera.camera_id,
        model_id=b"" if codec is None else codec.predicting_id,
        edge_version=version("secondsight"),
        only_asks=True,
    )
    call = None
    try:
        async with asyncio.timeout(patience_s):
            call = ingest_pb2_grpc.IngestServiceStub(channel).Push(metadata=metadata)
            asked_at = time.time()
            await call.write(ingest_pb2.PushRequest(hello=hello))
            answer = await call.read()
            answered_at = time.time()
            if answer is grpc.aio.EOF:
                await call.code()
                return [Finding(Level.ERROR, about, f"{where}: it ended the call", "see the server's log")]
            assert isinstance(answer, ingest_pb2.PushResponse)
    except grpc.aio.AioRpcError as error:
        return [Finding(Level.ERROR, about, f"{where}: {error.details()}", _remedy(error.code(), camera))]
    except (TimeoutError, asyncio.InvalidStateError):
        return [Finding(Level.ERROR, about, f"{where}: no answer within {patience_s:g} s", _UNREACHABLE)]
    finally:
        if call is not None:
            call.cancel()
        await channel.close(grace=None)
    model = "" if codec is None else ", and holds the same model"
    findings = [Finding(Level.OK, about, f"{where}: takes this camera{model}")]
    off_s = (asked_at + answered_at) / 2 - answer.welcome.server_time.ToNanoseconds() / 1e9
    # What the way took cannot be told from a clock that is off.
    far_off = abs(off_s) > _CLOCK_OFF_S + (answered_at - asked_at) / 2
    findings.append(
        Finding(
            Level.WARNING if far_off else Level.OK,
            f"{camera.camera_id}: clock",
            f"{round(off_s, 1) + 0.0:+.1f} s against the server's",
            "let NTP set the clock on both machines (timedatectl set-ntp true)" if far_off else "",
        )
    )
    return findings


_UNREACHABLE: Final = (
    "see that the server runs, that `server` is its gRPC address, and that no firewall lies between"
)


def _remedy(code: grpc.StatusCode, camera: EdgeConfig) -> str:
    match code:
        case grpc.StatusCode.UNAVAILABLE if camera.tls is not None:
            return (
                f"{_UNREACHABLE}; that it speaks TLS, and that `tls.ca` signed its certificate for this name"
            )
        case grpc.StatusCode.UNAVAILABLE:
            return f"{_UNREACHABLE}; if it speaks TLS, give `tls.ca`"
        case grpc.StatusCode.UNAUTHENTICATED:
            return f"make a token for {camera.camera_id} at the server, and give its file as `token_file`"
        case grpc.StatusCode.PERMISSION_DENIED:
            return f"give the token that was made for {camera.camera_id}"
        case grpc.StatusCode.FAILED_PRECONDITION:
            return "run the same release with the same codec profile on both sides"
        case _:
            return "see the server's log"


async def _check_store(url: str | None, tls: TlsConfig | None, patience_s: float) -> list[Finding]:
    if url is None:
        return [Finding(Level.OK, "store", "none: machine layers alone, no human views")]
    try:
        client = open_store(url, patience_s, tls)
    except ConfigError as error:
        return [Finding(Level.ERROR, "store", *_told(error))]
    about = "store " + url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")
    try:
        memory = await client.info("memory")
    except (RedisError, OSError) as error:
        remedy = "see that it runs, that `store` is its address, and that user, password and TLS are right"
        return [Finding(Level.ERROR, about, str(error) or type(error).__name__, remedy)]
    finally:
        await client.aclose()
    policy, most, used = memory["maxmemory_policy"], memory["maxmemory"], memory["used_memory"]
    bounded = f"{_size(max(0, most - used))} of {_size(most)} free" if most else "no limit of memory"
    found = f"{bounded}, evicts by {policy}"
    if not most:
        remedy = (
            "set its maxmemory, so that it evicts before the machine runs out (CONFIG SET maxmemory 512mb)"
        )
        return [Finding(Level.WARNING, about, found, remedy)]
    if policy != "volatile-ttl":
        remedy = "let it evict what expires first (CONFIG SET maxmemory-policy volatile-ttl)"
        return [Finding(Level.WARNING, about, found, remedy)]
    return [Finding(Level.OK, about, found)]


def _check_folders(cameras: tuple[EdgeConfig, ...]) -> Iterator[Finding]:
    wanted: dict[tuple[str, Path], int] = {}
    for camera in cameras:
        if camera.state is not None:
            wanted["state", camera.state] = _STATE_BYTES
        if camera.spool is not None:
            place = ("spool", camera.spool.folder)
            wanted[place] = wanted.get(place, 0) + camera.spool.max_bytes
    for (about, folder), size in wanted.items():
        yield _check_folder(f"{about} {folder}", folder, size)


def _check_folder(about: str, folder: Path, wanted: int) -> Finding:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        remedy = "give a folder that this user may write, or let its owner be this user"
        return Finding(Level.ERROR, about, f"cannot be written: {error}", remedy)
    found = (
        f"{_size(free)} free, up to {_size(wanted)} are taken{'' if there == folder else '; will be made'}"
    )
    if free < _LEAST_FREE_BYTES:
        return Finding(Level.ERROR, about, found, "make room, or give a folder on another disk")
    if free < wanted:
        return Finding(Level.WARNING, about, found, "make room, or lower `spool.max_bytes`")
    return Finding(Level.OK, about, found)


def halves(text: str) -> tuple[str, str]:
    """What is wrong and what to do, of a text that says both with a colon between; a bracket may end it."""
    both = re.fullmatch(r"(.*): ([^()]*(?:\(.*\))?)", text)
    return (both[1], both[2]) if both else (text, "")


def _told(error: EdgeError, remedy: str = "see the text on the left") -> tuple[str, str]:
    """What is wrong and what to do, by default `remedy`."""
    if isinstance(error, SourceError):
        problem, own = error.problem, error.remedy
    elif isinstance(error, CredentialsError) and error.__cause__ is not None:
        # It ends in words of the system or of a library, which say no remedy.
        problem, own = str(error), ""
    else:
        problem, own = halves(str(error))
    return problem, own or remedy


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
