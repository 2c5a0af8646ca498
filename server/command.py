"""Run the server: take in frames, recognise, answer analytics and operators."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.config import EMBEDDED_STORE, ServerConfig
from server.store.config import StoreConfig, parse_size

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


class LogLevel(StrEnum):
    """How much is told."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def server(
    store: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_STORE",
            help="URL of a Redis or Valkey (redis://...), or `embedded` for one of our own.",
        ),
    ] = _DEFAULTS.store,
    data: Annotated[
        Path, typer.Option(envvar="SECONDSIGHT_DATA_FOLDER", help="Folder of the embedded store.")
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
    profile: Annotated[
        str, typer.Option(envvar="SECONDSIGHT_PROFILE", help="The codec's profile.")
    ] = _DEFAULTS.profile,
    device: Annotated[
        str, typer.Option(envvar="SECONDSIGHT_DEVICE", help="Where to decode: auto, cpu or cuda.")
    ] = _DEFAULTS.device,
    codec_threads: Annotated[
        int, typer.Option(envvar="SECONDSIGHT_CODEC_THREADS", help="Threads that decode.")
    ] = _DEFAULTS.codec_threads,
    recogniser: Annotated[
        str,
        typer.Option(
            envvar="SECONDSIGHT_RECOGNISER",
            help="What looks at the frames: ssd-mobilenet, nanodet, persons, onnx:PATH or none.",
        ),
    ] = _DEFAULTS.recogniser,
    recogniser_threads: Annotated[
        int, typer.Option(envvar="SECONDSIGHT_RECOGNISER_THREADS", help="Threads that recognise.")
    ] = _DEFAULTS.recogniser_threads,
    minimum_score: Annotated[
        float,
        typer.Option(
            envvar="SECONDSIGHT_MINIMUM_SCORE", help="Detections below it are not published, 0 to 1."
        ),
    ] = _DEFAULTS.minimum_score,
    worker_name: Annotated[
        str, typer.Option(envvar="SECONDSIGHT_WORKER_NAME", help="Name of the worker in its consumer group.")
    ] = _DEFAULTS.worker_name,
    backlog_frames: Annotated[
        int,
        typer.Option(
            envvar="SECONDSIGHT_BACKLOG_FRAMES", help="Frames of a camera that may await recognition."
        ),
    ] = _DEFAULTS.backlog_frames,
    frames_kept: Annotated[
        int, typer.Option(envvar="SECONDSIGHT_FRAMES_KEPT", help="Frames of a camera that stay in the store.")
    ] = _DEFAULTS.frames_kept,
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
    log_level: Annotated[
        LogLevel,
        typer.Option(envvar="SECONDSIGHT_LOG_LEVEL", help="Least of what is told on standard error."),
    ] = LogLevel.INFO,
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
        insecure_transport=insecure_transport,
        audit_days=audit_days,
        profile=profile,
        device=device,
        codec_threads=codec_threads,
        recogniser=recogniser,
        recogniser_threads=recogniser_threads,
        minimum_score=minimum_score,
        worker_name=worker_name,
        backlog_frames=backlog_frames,
        frames_kept=frames_kept,
        group_frames=group_frames,
        results_kept=results_kept,
        frame_pixels=frame_pixels,
    )
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    with _store(config) as embedded:
        _serve(config, config.store if embedded is None else embedded.url)


def _store(config: ServerConfig) -> AbstractContextManager[EmbeddedStore | None]:
    if config.store != EMBEDDED_STORE:
        return nullcontext()
    from server.store.embedded import EmbeddedStore

    return EmbeddedStore(
        StoreConfig(data=config.data / "store", port=config.store_port, max_memory=config.store_memory)
    )


def _serve(config: ServerConfig, store_url: str) -> None:
    import asyncio

    from server.process import Server
    from server.recognition import load_recogniser
    from server.until_told import serve_until_told
    from shared_models import load_codec, use_threads

    use_threads(config.codec_threads)
    recogniser = load_recogniser(
        config.recogniser, minimum_score=config.minimum_score, threads=config.recogniser_threads
    )
    codec = load_codec(config.profile, device=config.device)

    def announce(server: Server) -> None:
        typer.echo(f"ready grpc={server.grpc_address} http={server.http_address} store={store_url}")

    async def run() -> None:
        server = Server(config, store_url, codec, recogniser)
        first = server.access.first_admin()
        if first is not None:
            # Past the log: what it says is for the eyes of whoever starts the server, once.
            typer.echo(_FIRST_LOGIN.format(name=first.name, password=first.password), err=True)
        await serve_until_told(server, announce)

    asyncio.run(run())
