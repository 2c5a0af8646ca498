"""Encode a camera's frames, send the machine layer to a server, keep the enhancement layer in a store.

Exit codes:

0: every frame was acknowledged or dropped by the rules; also after SIGTERM or Ctrl-C.

1: an error that names its remedy.

2: wrong options.

3: the source could not be opened or read.

4: the source ended, but the server did not acknowledge all frames.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge.config import CaptureConfig, EdgeConfig, EnhancementConfig, RateConfig
from edge.errors import ConfigError, SourceError
from edge.spending import Ledger, Spending

EXIT_SOURCE = 3
EXIT_UNACKNOWLEDGED = 4


class WhenUsedUp(StrEnum):
    """What an edge does whose budget is gone before the day is."""

    LOWEST = "lowest"
    STOP = "stop"


app = typer.Typer(add_completion=False)


def _env(name: str) -> str:
    return f"SECONDSIGHT_{name}"


@app.command(help=__doc__)
def edge(
    camera: Annotated[
        str, typer.Option(envvar=_env("CAMERA"), help="Name of the camera: at most 64 of a-z, 0-9, - and _.")
    ],
    source: Annotated[
        str, typer.Option(envvar=_env("SOURCE"), help="A video file, a folder of images, or an rtsp:// URL.")
    ],
    server: Annotated[
        str, typer.Option(envvar=_env("SERVER"), help="The server's gRPC address, HOST:PORT.")
    ] = "127.0.0.1:50051",
    store: Annotated[
        str | None,
        typer.Option(
            envvar=_env("STORE"),
            help="Redis URL of the store for enhancement layers. Without it there are no human views.",
        ),
    ] = None,
    profile: Annotated[str, typer.Option(envvar=_env("PROFILE"), help="The codec's profile.")] = "lite",
    device: Annotated[str, typer.Option(envvar=_env("DEVICE"), help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int,
        typer.Option(
            envvar=_env("THREADS"),
            min=1,
            help="CPU threads of one operation; the encoder runs two at once, one for each layer.",
        ),
    ] = 1,
    quality: Annotated[
        int | None,
        typer.Option(
            envvar=_env("QUALITY"),
            help="Level of the human view; 0 is the smallest.",
            show_default="the codec's",
        ),
    ] = None,
    machine_quality: Annotated[
        int | None,
        typer.Option(
            envvar=_env("MACHINE_QUALITY"), help="Level of the machine layer.", show_default="the codec's"
        ),
    ] = None,
    slices: Annotated[
        int | None,
        typer.Option(envvar=_env("SLICES"), help="Enhancement slices to keep, 1 to 5.", show_default="all"),
    ] = None,
    longest_group: Annotated[
        int,
        typer.Option(
            envvar=_env("LONGEST_GROUP"),
            help="Frames in a group at most: a key frame and those predicted from it. "
            "1 predicts nothing, so that every frame stands for itself.",
        ),
    ] = EdgeConfig.longest_group,
    bit_rate: Annotated[
        float | None,
        typer.Option(
            envvar=_env("BIT_RATE"),
            help="Kilobits per second to keep to on the uplink. Then --quality and --machine-quality are the highest "
            "levels, and frames in which little is new are the first to be left out.",
            show_default="no limit",
        ),
    ] = None,
    daily_budget: Annotated[
        float | None,
        typer.Option(
            envvar=_env("DAILY_BUDGET"),
            help="Megabytes to keep to on the uplink from midnight to midnight UTC; what is left is spread over "
            "the rest of the day. Needs --state.",
            show_default="no limit",
        ),
    ] = None,
    budget_used_up: Annotated[
        WhenUsedUp,
        typer.Option(
            envvar=_env("BUDGET_USED_UP"),
            help="With the day's budget gone: go on with the lowest level and the least frame rate, or stop "
            "until midnight.",
        ),
    ] = WhenUsedUp.LOWEST,
    remote_store: Annotated[
        bool,
        typer.Option(
            "--remote-store",
            envvar=_env("REMOTE_STORE"),
            help="The store lies across the uplink: enhancement layers count for bit rate and budget, too.",
        ),
    ] = False,
    least_quality: Annotated[
        int,
        typer.Option(
            envvar=_env("LEAST_QUALITY"),
            help="With a bit rate or a budget and a remote store: lowest level of the human view.",
        ),
    ] = RateConfig.least_quality,
    least_machine_quality: Annotated[
        int,
        typer.Option(
            envvar=_env("LEAST_MACHINE_QUALITY"),
            help="With a bit rate or a budget: lowest level of the machine layer.",
        ),
    ] = RateConfig.least_machine_quality,
    least_frame_rate: Annotated[
        float,
        typer.Option(
            envvar=_env("LEAST_FRAME_RATE"),
            help="With a bit rate or a budget: frames per second that are sent whatever they cost.",
        ),
    ] = RateConfig.least_frame_rate,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("STATE"),
            help="Folder for what outlives a restart: how many bytes each day has cost.",
            show_default="nothing is kept",
        ),
    ] = None,
    frames_at_once: Annotated[
        int,
        typer.Option(
            envvar=_env("FRAMES_AT_ONCE"), min=1, help="Frames encoded together when more than one waits."
        ),
    ] = EdgeConfig.frames_at_once,
    ttl: Annotated[
        int, typer.Option(envvar=_env("TTL"), help="Seconds for which an enhancement layer is kept.")
    ] = EnhancementConfig.routine_s,
    speed: Annotated[
        float,
        typer.Option(
            envvar=_env("SPEED"),
            help="Pace of a recording: 1 its own, 0.5 half of it, 0 as fast as possible.",
        ),
    ] = CaptureConfig.speed,
    frame_rate: Annotated[
        float | None,
        typer.Option(envvar=_env("FRAME_RATE"), help="At most so many frames per second of the source."),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(envvar=_env("MAX_FRAMES"), help="End after so many frames.")
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(envvar=_env("MAX_SIDE"), help="Scale frames down to this longer side, pixels."),
    ] = None,
    loop: Annotated[
        bool, typer.Option(envvar=_env("LOOP"), help="Begin a recording again at its end.")
    ] = False,
    keep_all: Annotated[
        bool,
        typer.Option(
            "--keep-all", envvar=_env("KEEP_ALL"), help="Hold a recording back instead of dropping frames."
        ),
    ] = False,
    max_unacknowledged: Annotated[
        int,
        typer.Option(
            envvar=_env("MAX_UNACKNOWLEDGED"), help="Encoded frames kept until the server has them."
        ),
    ] = EdgeConfig.max_unacknowledged,
    flush_timeout: Annotated[
        float,
        typer.Option(
            envvar=_env("FLUSH_TIMEOUT"),
            help="At the end of a source, seconds without an acknowledgement after which the rest is given up.",
        ),
    ] = EdgeConfig.flush_timeout_s,
    backoff_cap: Annotated[
        float, typer.Option(envvar=_env("BACKOFF_CAP"), help="Longest wait between two connections, seconds.")
    ] = EdgeConfig.backoff_cap_s,
    grace: Annotated[
        float, typer.Option(envvar=_env("GRACE"), help="Seconds for frames under way after SIGTERM.")
    ] = EdgeConfig.grace_s,
    status_interval: Annotated[
        float, typer.Option(envvar=_env("STATUS_INTERVAL"), help="Seconds between status lines.")
    ] = EdgeConfig.status_interval_s,
    metrics: Annotated[
        str | None, typer.Option(envvar=_env("METRICS"), help="Serve Prometheus metrics on HOST:PORT.")
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(envvar=_env("SUMMARY"), help="Write the summary here.", show_default="standard output"),
    ] = None,
) -> None:
    try:
        config = EdgeConfig(
            camera_id=camera,
            source=source,
            server=server,
            store=store,
            capture=CaptureConfig(
                speed=speed, frame_rate=frame_rate, loop=loop, max_frames=max_frames, max_side=max_side
            ),
            quality=quality,
            machine_quality=machine_quality,
            slices=slices,
            longest_group=longest_group,
            rate=None
            if bit_rate is None and daily_budget is None
            else RateConfig(
                kbit_s=bit_rate,
                daily_mb=daily_budget,
                both_layers=remote_store,
                least_quality=least_quality,
                least_machine_quality=least_machine_quality,
                least_frame_rate=least_frame_rate,
                when_used_up=budget_used_up.value,
            ),
            state=state,
            frames_at_once=frames_at_once,
            keep_all=keep_all,
            enhancement=EnhancementConfig(
                routine_s=ttl,
                detection_s=max(ttl, EnhancementConfig.detection_s),
                alert_s=max(ttl, EnhancementConfig.alert_s),
            ),
            max_unacknowledged=max_unacknowledged,
            flush_timeout_s=flush_timeout,
            backoff_cap_s=backoff_cap,
            grace_s=grace,
            status_interval_s=status_interval,
        )
        raise typer.Exit(asyncio.run(_run(config, profile, device, threads, metrics, summary)))
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    except SourceError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_SOURCE) from error


async def _run(
    config: EdgeConfig, profile: str, device: str, threads: int, metrics: str | None, summary: Path | None
) -> int:
    from importlib.metadata import version

    from edge.encoder import Encoder
    from edge.exposition import serve_metrics
    from edge.metrics import Tally
    from edge.process import EdgeProcess
    from shared_models import load_codec, use_threads

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    tally = Tally(spending=_spending(config))
    process = EdgeProcess(config, version("secondsight"), tally)
    use_threads(threads)
    codec = await asyncio.to_thread(load_codec, profile, device=device)
    encoder = Encoder(
        codec,
        config.quality,
        config.machine_quality,
        config.slices,
        config.frames_at_once,
        config.longest_group,
    )
    try:
        with serve_metrics(metrics, {config.camera_id: tally}):
            print(f"ready camera={config.camera_id} server={config.server}", flush=True)
            await process.run(encoder, stop)
    finally:
        encoder.close()
        tally.spending.close()
        _write_summary(tally.summary(), summary)
    if tally.unacknowledged and not stop.is_set():
        logging.getLogger(__name__).error(
            "%d frames were not acknowledged: is the server at %s running?",
            tally.unacknowledged,
            config.server,
        )
        return EXIT_UNACKNOWLEDGED
    return 0


def _spending(config: EdgeConfig) -> Spending:
    """The account of the uplink, with its ledger if there is a place for one."""
    ledger = None
    if config.state is not None:
        budget_mb = None if config.rate is None else config.rate.daily_mb
        # Written ahead by a hundredth of the day.
        step_bytes = round((budget_mb or 100.0) * 1e4)
        ledger = Ledger(config.state / f"{config.camera_id}.json", step_bytes)
    return Spending(counts_enhancement=config.rate is not None and config.rate.both_layers, ledger=ledger)


def _write_summary(counts: dict[str, object], path: Path | None) -> None:
    text = json.dumps(counts)
    if path is None:
        print(text, flush=True)
    else:
        path.write_text(text + "\n")
