"""Command line options that several of the server's processes have, each with its variable of the environment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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
        help="What looks at the frames: ssd-mobilenet, nanodet, onnx:PATH or none.",
    ),
]
RecogniserThreadsOption = Annotated[
    int, typer.Option(envvar="SECONDSIGHT_RECOGNISER_THREADS", help="Threads that recognise.")
]
MinimumScoreOption = Annotated[
    float,
    typer.Option(envvar="SECONDSIGHT_MINIMUM_SCORE", help="Detections below it are not published, 0 to 1."),
]
WorkerNameOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_WORKER_NAME", help="Name of the worker for people; the host's when not given."
    ),
]
LogLevelOption = Annotated[
    LogLevel,
    typer.Option(envvar="SECONDSIGHT_LOG_LEVEL", help="Least of what is told on standard error."),
]
