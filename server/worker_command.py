"""Run a worker: recognise what stored frames show, beside any number of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.logs import LogFormat, set_up_logging
from secondsight.tracing import tracing_as
from server.config import EMBEDDED_STORE, ServerConfig
from server.errors import ServerConfigError
from server.options import (
    KEYS_MEMORY,
    PICTURES_MEMORY,
    AlertLabelOption,
    AlertScoreOption,
    CameraStoreOption,
    CodecThreadsOption,
    DeviceOption,
    KeysMemoryOption,
    LogFormatOption,
    LogLevel,
    LogLevelOption,
    MinimumScoreOption,
    PicturesMemoryOption,
    ProfileOption,
    RecogniserDeviceOption,
    RecogniserOption,
    RecogniserThreadsOption,
    RetainAlertOption,
    RetainDetectionOption,
    RulesOption,
    WorkerNameOption,
    camera_stores,
)
from server.store.config import parse_size

if TYPE_CHECKING:
    from server.worker_process import WorkerProcess

app = typer.Typer(add_completion=False)

_DEFAULTS = ServerConfig()


@app.command()
def worker(
    store: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_STORE",
            help="URL of the servers' Redis or Valkey: redis://HOST:PORT/0, or redis+cluster://HOST:PORT,HOST:PORT.",
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_TASK",
            help="What the recogniser is for. Workers of one task share its frames; every task sees all frames.",
        ),
    ] = _DEFAULTS.task,
    http: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_WORKER_HTTP",
            help="HOST:PORT for /healthz, /readyz and /metrics, open to all who reach it; port 0 takes a free one.",
        ),
    ] = "127.0.0.1:8081",
    profile: ProfileOption = _DEFAULTS.profile,
    device: DeviceOption = _DEFAULTS.device,
    codec_threads: CodecThreadsOption = _DEFAULTS.codec_threads,
    recogniser: RecogniserOption = _DEFAULTS.recogniser,
    recogniser_device: RecogniserDeviceOption = _DEFAULTS.recogniser_device,
    recogniser_threads: RecogniserThreadsOption = _DEFAULTS.recogniser_threads,
    rules: RulesOption = None,
    minimum_score: MinimumScoreOption = _DEFAULTS.minimum_score,
    pictures_memory: PicturesMemoryOption = PICTURES_MEMORY,
    keys_memory: KeysMemoryOption = KEYS_MEMORY,
    worker_name: WorkerNameOption = _DEFAULTS.worker_name,
    camera_store: CameraStoreOption = [],  # noqa: B006  # typer reads it, nobody writes it
    retain_detection: RetainDetectionOption = _DEFAULTS.retain_detection,
    retain_alert: RetainAlertOption = _DEFAULTS.retain_alert,
    alert_label: AlertLabelOption = [],  # noqa: B006
    alert_score: AlertScoreOption = _DEFAULTS.alert_score,
    cameras_at_most: Annotated[
        int,
        typer.Option(envvar="SECONDSIGHT_CAMERAS_AT_MOST", help="Cameras that the worker takes, at most."),
    ] = _DEFAULTS.cameras_at_most,
    lease: Annotated[
        float,
        typer.Option(
            envvar="SECONDSIGHT_LEASE",
            help="Seconds after which others have the cameras of a worker that is not heard of.",
        ),
    ] = _DEFAULTS.lease,
    tries: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_TRIES", help="Workers that may die with one frame before it is given up."
        ),
    ] = _DEFAULTS.tries,
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Recognise what stored frames show. Start as many as are needed, on as many machines; nothing else is to be set.

    Prints one line when it works: `ready worker=NAME http=HOST:PORT`. On SIGTERM or Ctrl-C it finishes the frames in
    hand and lets others have its cameras at once.
    """
    if store == EMBEDDED_STORE:
        raise ServerConfigError(
            "a worker has no store of its own: give the URL of the servers' (--store redis://HOST:PORT/0)"
        )
    config = ServerConfig(
        store=store,
        task=task,
        http=http,
        insecure_transport=True,
        profile=profile,
        device=device,
        codec_threads=codec_threads,
        recogniser=recogniser,
        recogniser_device=recogniser_device,
        recogniser_threads=recogniser_threads,
        rules=rules,
        minimum_score=minimum_score,
        pictures_bytes=parse_size(pictures_memory),
        references_bytes=parse_size(keys_memory),
        worker_name=worker_name,
        camera_stores=camera_stores(camera_store),
        retain_detection=retain_detection,
        retain_alert=retain_alert,
        alert_labels=tuple(alert_label),
        alert_score=alert_score,
        cameras_at_most=cameras_at_most,
        lease=lease,
        tries=tries,
    )
    set_up_logging(log_format, log_level.upper())
    _work(config)


def _work(config: ServerConfig) -> None:
    import asyncio

    from server.models import configured_codec, configured_recogniser
    from server.until_told import serve_until_told
    from server.worker_process import WorkerProcess

    recogniser = configured_recogniser(config)
    codec = configured_codec(config)

    def announce(process: WorkerProcess) -> None:
        typer.echo(f"ready worker={process.worker.name} http={process.http_address}")

    async def run() -> None:
        with tracing_as("secondsight-worker"):
            await serve_until_told(WorkerProcess(config, config.store, codec, recogniser), announce)

    asyncio.run(run())
