"""Command line options that several of the server's processes have, each with its variable of the environment."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from secondsight.logs import LogFormat
from server.errors import ServerConfigError
from server.recogniser_device import Device


def camera_stores(given: list[str]) -> dict[str, str]:
    """Stores by camera, from CAMERA=URL.

    Raises:
        ServerConfigError: it is no such thing, or a camera is named twice.
    """
    stores: dict[str, str] = {}
    for pair in given:
        camera_id, _, url = pair.partition("=")
        if not camera_id or not url:
            raise ServerConfigError(
                "--camera-store takes CAMERA=URL, as in front-door=redis://10.0.0.7:6379/0, and got something else"
            )
        if camera_id in stores:
            raise ServerConfigError(f"--camera-store names two stores for camera {camera_id}: give one")
        stores[camera_id] = url
    return stores


class LogLevel(StrEnum):
    """How much is told."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


ProfileOption = Annotated[str, typer.Option(envvar="SECONDSIGHT_PROFILE", help="The codec's profile.")]
DeviceOption = Annotated[
    str, typer.Option(envvar="SECONDSIGHT_DEVICE", help="Where to decode: auto, cpu or cuda.")
]
CodecThreadsOption = Annotated[
    int, typer.Option(envvar="SECONDSIGHT_CODEC_THREADS", help="Threads that decode.")
]
RecogniserOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_RECOGNISER",
        help="What looks at the frames: ssd-mobilenet, nanodet, persons, onnx:PATH or none.",
    ),
]
RecogniserDeviceOption = Annotated[
    Device,
    typer.Option(
        envvar="SECONDSIGHT_RECOGNISER_DEVICE", help="Where to recognise: auto takes CUDA where it works."
    ),
]
RulesOption = Annotated[
    Path | None,
    typer.Option(
        envvar="SECONDSIGHT_RULES",
        help="YAML file of what is published of each camera's detections: filters, zones, tracks, alerts.",
    ),
]
RecogniserThreadsOption = Annotated[
    int, typer.Option(envvar="SECONDSIGHT_RECOGNISER_THREADS", help="Threads that recognise.")
]
MinimumScoreOption = Annotated[
    float,
    typer.Option(envvar="SECONDSIGHT_MINIMUM_SCORE", help="Detections below it are not published, 0 to 1."),
]
PicturesMemoryOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_PICTURES_MEMORY", help="Decoded machine views kept in memory, up to this size."
    ),
]
KeysMemoryOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_KEYS_MEMORY",
        help="Decoded key frames kept in memory, up to this size; a key frame that is not is decoded again.",
    ),
]
PICTURES_MEMORY: Final = "64mb"
KEYS_MEMORY: Final = "256mb"
WorkerNameOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_WORKER_NAME", help="Name of the worker for people; the host's when not given."
    ),
]
CameraStoreOption = Annotated[
    list[str],
    typer.Option(
        "--camera-store",
        envvar="SECONDSIGHT_CAMERA_STORES",
        metavar="CAMERA=URL",
        help="Redis in which a camera's enhancement layers lie, where that is not --store. May be given again.",
    ),
]
RetainDetectionOption = Annotated[
    float | None,
    typer.Option(
        envvar="SECONDSIGHT_RETAIN_DETECTION",
        help="Seconds for which an enhancement layer is kept when something was recognised.",
        show_default="as any other",
    ),
]
RetainAlertOption = Annotated[
    float,
    typer.Option(
        envvar="SECONDSIGHT_RETAIN_ALERT",
        help="Seconds for which a frame is kept, with its layers, when there is an alert or somebody keeps it.",
    ),
]
RetainMarkOption = Annotated[
    float,
    typer.Option(
        envvar="SECONDSIGHT_RETAIN_MARK",
        help="Seconds for which a frame is kept, with its layers, when somebody marked a result in it.",
    ),
]
AlertLabelOption = Annotated[
    list[str],
    typer.Option(
        "--alert-label",
        envvar="SECONDSIGHT_ALERT_LABELS",
        metavar="LABEL",
        help="Detections with this label make an alert. May be given again.",
    ),
]
AlertScoreOption = Annotated[
    float, typer.Option(envvar="SECONDSIGHT_ALERT_SCORE", help="From this score on, 0 to 1.")
]
LogLevelOption = Annotated[
    LogLevel,
    typer.Option(envvar="SECONDSIGHT_LOG_LEVEL", help="Least of what is told on standard error."),
]
LogFormatOption = Annotated[
    LogFormat, typer.Option(envvar="SECONDSIGHT_LOG_FORMAT", help="Lines for people, or JSON.")
]
