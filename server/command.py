"""Run the server: take in frames, recognise, answer analytics and operators."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.logs import LogFormat, set_up_logging
from secondsight.secrets import without_secrets
from secondsight.tracing import tracing_as
from server.config import EMBEDDED_STORE, ServerConfig
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
    RetainMarkOption,
    RulesOption,
    WorkerNameOption,
    camera_stores,
)
from server.store.config import StoreConfig, parse_size
from server.tls import tls_of

if TYPE_CHECKING:
    from server.process import Server
    from server.store.embedded import EmbeddedStore

app = typer.Typer(add_completion=False)

_DEFAULTS = ServerConfig()
_FIRST_LOGIN = """
Nobody has access to this server yet. Log in at its page within three days, once, as

    {name}  {password}

and choose a password of your own. It is shown this time only; `secondsight access user password {name}` makes another.
"""


@app.command()
def server(
    store: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_STORE",
            help="URL of a Redis or Valkey (redis://..., or redis+cluster://HOST:PORT,HOST:PORT), or `embedded` for "
            "one of our own.",
        ),
    ] = _DEFAULTS.store,
    data: Annotated[
        Path,
        typer.Option(envvar="SECONDSIGHT_DATA_FOLDER", file_okay=False, help="Folder of the embedded store."),
    ] = _DEFAULTS.data,
    store_port: Annotated[
        int,
        typer.Option(envvar="SECONDSIGHT_STORE_PORT", help="Port of the embedded store; 0 takes a free one."),
    ] = _DEFAULTS.store_port,
    store_memory: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_STORE_MEMORY",
            help="Memory of the embedded store; above it, layers, frames and results go before their time.",
        ),
    ] = "512mb",
    grpc: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_GRPC", help="HOST:PORT for edges and analytics; port 0 takes a free one."
        ),
    ] = _DEFAULTS.grpc,
    http: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_HTTP", help="HOST:PORT for REST and the page; port 0 takes a free one."
        ),
    ] = _DEFAULTS.http,
    access: Annotated[
        Path | None,
        typer.Option(
            envvar="SECONDSIGHT_ACCESS",
            help="Access file: who may do what, kept by `secondsight access`. Without one nobody is asked on the "
            "loopback, and DATA/access.json decides anywhere else.",
        ),
    ] = _DEFAULTS.access_file,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="SECONDSIGHT_TLS_CERTIFICATE",
            help="Certificate of this server in PEM, for gRPC and HTTP; read again when it is renewed.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="SECONDSIGHT_TLS_KEY", help="Its key, in PEM.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            envvar="SECONDSIGHT_TLS_CLIENT_CA",
            help="Authorities that sign for cameras and analytics: gRPC clients without a certificate are refused.",
        ),
    ] = None,
    insecure_transport: Annotated[
        bool,
        typer.Option(
            "--insecure-transport",
            envvar="SECONDSIGHT_INSECURE_TRANSPORT",
            help="Listen beyond the loopback without TLS, because something before the server does it.",
        ),
    ] = _DEFAULTS.insecure_transport,
    audit_days: Annotated[
        int,
        typer.Option(envvar="SECONDSIGHT_AUDIT_DAYS", help="For which records of the audit are kept."),
    ] = _DEFAULTS.audit_days,
    profile: ProfileOption = _DEFAULTS.profile,
    device: DeviceOption = _DEFAULTS.device,
    codec_threads: CodecThreadsOption = _DEFAULTS.codec_threads,
    has_worker: Annotated[
        bool,
        typer.Option(
            "--worker/--no-worker",
            envvar="SECONDSIGHT_WORKER",
            help="Recognise in this process too, or leave that to `secondsight worker`.",
        ),
    ] = True,
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
    retain_mark: RetainMarkOption = _DEFAULTS.retain_mark,
    alert_label: AlertLabelOption = [],  # noqa: B006
    alert_score: AlertScoreOption = _DEFAULTS.alert_score,
    backlog_frames: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_BACKLOG_FRAMES", help="Frames of a camera that may await recognition."
        ),
    ] = _DEFAULTS.backlog_frames,
    frames_kept: Annotated[
        int, typer.Option(envvar="SECONDSIGHT_FRAMES_KEPT", help="Frames of a camera that stay in the store.")
    ] = _DEFAULTS.frames_kept,
    frames_most: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_FRAMES_MOST",
            help="Frames of a camera that stay while a task other than the default one has yet to recognise them.",
        ),
    ] = _DEFAULTS.frames_most,
    store_replicas: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_STORE_REPLICAS",
            help="Replicas of the store that must have a frame before it is acknowledged. Not with a cluster.",
        ),
    ] = _DEFAULTS.replicas,
    group_frames: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_GROUP_FRAMES",
            help="Most frames of a group: a key frame and those predicted from it. Groups are kept as a whole.",
        ),
    ] = _DEFAULTS.group_frames,
    frame_pixels: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_FRAME_PIXELS",
            help="Pixels of the largest frame taken in; decoding takes about 200 bytes of memory for each.",
        ),
    ] = _DEFAULTS.frame_pixels,
    results_kept: Annotated[
        int,
        typer.Option(envvar="SECONDSIGHT_RESULTS_KEPT", help="Results of a camera that stay in the store."),
    ] = _DEFAULTS.results_kept,
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Take in frames, recognise what they show, and answer analytics (gRPC) and operators (REST, page).

    Prints one line when it serves: `ready grpc=HOST:PORT http=HOST:PORT store=URL`. Ends on SIGTERM or Ctrl-C.
    """
    config = ServerConfig(
        store=store,
        data=data,
        store_port=store_port,
        store_memory=parse_size(store_memory),
        grpc=grpc,
        http=http,
        access_file=access,
        tls=tls_of(tls_certificate, tls_key, tls_client_ca),
        insecure_transport=insecure_transport,
        audit_days=audit_days,
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
        retain_mark=retain_mark,
        alert_labels=tuple(alert_label),
        alert_score=alert_score,
        backlog_frames=backlog_frames,
        frames_kept=frames_kept,
        frames_most=frames_most,
        replicas=store_replicas,
        group_frames=group_frames,
        results_kept=results_kept,
        frame_pixels=frame_pixels,
    )
    set_up_logging(log_format, log_level.upper())
    with _store(config) as embedded:
        _serve(config, config.store if embedded is None else embedded.url, has_worker)


def _store(config: ServerConfig) -> AbstractContextManager[EmbeddedStore | None]:
    if config.store != EMBEDDED_STORE:
        return nullcontext()
    from server.store.embedded import EmbeddedStore

    return EmbeddedStore(
        StoreConfig(data=config.data / "store", port=config.store_port, max_memory=config.store_memory)
    )


def _serve(config: ServerConfig, store_url: str, has_worker: bool) -> None:
    import asyncio

    from server.models import configured_codec, configured_recogniser
    from server.process import Server
    from server.until_told import serve_until_told

    recogniser = configured_recogniser(config) if has_worker else None
    codec = configured_codec(config)

    def announce(server: Server) -> None:
        typer.echo(
            f"ready grpc={server.grpc_address} http={server.http_address} store={without_secrets(store_url)}"
        )

    async def run() -> None:
        server = Server(config, store_url, codec, recogniser)
        first = server.first_admin()
        if first is not None:
            # Past the log: what it says is for the eyes of whoever starts the server, once.
            typer.echo(_FIRST_LOGIN.format(name=first.name, password=first.password), err=True)
        with tracing_as("secondsight-server"):
            await serve_until_told(server, announce)

    asyncio.run(run())
