"""`secondsight edge`: the options of one camera, or a site file."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from edge.command.given import Given
from edge.config import (
    CaptureConfig,
    CodecConfig,
    EdgeConfig,
    EnhancementConfig,
    Polygon,
    RateConfig,
    SiteConfig,
    SpoolConfig,
    TlsConfig,
)
from edge.errors import ConfigError, SourceError
from secondsight.logs import LogFormat, set_up_logging

_OF_THE_PROCESS: Final = frozenset({"config", "secrets", "summary", "log_format"})
"""Options that go with a site file."""


class WhenUsedUp(StrEnum):
    """What an edge does whose budget is gone before the day is."""

    LOWEST = "lowest"
    STOP = "stop"


class Delivery(StrEnum):
    """What gives way when frames cannot be sent."""

    LIVE = "live"
    COMPLETE = "complete"


class Policy(StrEnum):
    """Of which frames the enhancement layer is kept."""

    EVERY = "every"
    NTH = "nth"
    DETECTION = "detection"
    OFF = "off"


class Place(StrEnum):
    """Who reaches the store."""

    SERVER = "server"
    EDGE = "edge"


def _env(name: str) -> str:
    return f"SECONDSIGHT_{name}"


def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("CONFIG"),
            help="A site file: all its cameras in this process. Then the options of one camera are not given.",
        ),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(
            envvar=[_env("SECRETS"), "CREDENTIALS_DIRECTORY"],
            help="With --config: folder with files of values, as SECONDSIGHT_EDGE__CAMERAS__FRONT__SOURCE.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(envvar=_env("CAMERA"), help="Name of the camera: at most 64 of a-z, 0-9, - and _."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(envvar=_env("SOURCE"), help="A video file, a folder of images, or a camera's address."),
    ] = None,
    server: Annotated[
        str, typer.Option(envvar=_env("SERVER"), help="The server's gRPC address, HOST:PORT.")
    ] = "127.0.0.1:50051",
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            envvar=_env("TLS"),
            help="Speak TLS with the server; --ca, or --certificate and --key, say so too.",
        ),
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("CA"),
            help="PEM file with the authority of the server's certificate.",
            show_default="those of the web",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(envvar=_env("CERTIFICATE"), help="PEM file with what this edge shows of itself."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(envvar=_env("KEY"), help="PEM file with the key of --certificate.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(envvar=_env("TOKEN_FILE"), help="File with the camera's token.")
    ] = None,
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
            help="Level of the human view of predicted frames; 0 is the smallest. Key frames are finer.",
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
    enhancement: Annotated[
        Policy,
        typer.Option(
            envvar=_env("ENHANCEMENT"),
            help="Of which frames the enhancement layer is kept: every, every --nth, those with a detection, or off.",
        ),
    ] = Policy.EVERY,
    nth: Annotated[
        int, typer.Option(envvar=_env("NTH"), help="With --enhancement nth: one frame of so many.")
    ] = EnhancementConfig.nth,
    place: Annotated[
        Place,
        typer.Option(
            envvar=_env("PLACE"),
            help="Who reaches the store: the server, or this edge alone, which the server asks for layers.",
        ),
    ] = Place.SERVER,
    spool: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("SPOOL"),
            help="Folder where encoded frames wait on disk until the server has them.",
            show_default="a few wait in memory",
        ),
    ] = None,
    delivery: Annotated[
        Delivery,
        typer.Option(
            envvar=_env("DELIVERY"),
            help="What gives way when frames cannot be sent: the oldest, or, with --spool, none.",
        ),
    ] = Delivery.LIVE,
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
    hide: Annotated[
        list[str] | None,
        typer.Option(
            envvar=_env("HIDE"),
            metavar="X,Y:X,Y:X,Y",
            help="Blacken a part of every frame before it is coded: corners as shares of width and height. "
            "May be repeated.",
        ),
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
    log_format: Annotated[
        LogFormat, typer.Option(envvar=_env("LOG_FORMAT"), help="Lines for people, or JSON.")
    ] = LogFormat.TEXT,
) -> None:
    def one_camera() -> SiteConfig:
        if camera is None or source is None:
            lacking = "--camera" if camera is None else "--source"
            raise ConfigError(
                f"missing option {lacking}; several cameras are given by a site file (--config)"
            )
        return SiteConfig(
            cameras=(
                EdgeConfig(
                    camera_id=camera,
                    source=source,
                    server=server,
                    tls=TlsConfig(ca, certificate, key) if tls or ca or certificate or key else None,
                    token_file=token_file,
                    store=store,
                    capture=CaptureConfig(
                        speed=speed,
                        frame_rate=frame_rate,
                        loop=loop,
                        max_frames=max_frames,
                        max_side=max_side,
                        hidden=tuple(_polygon(part) for part in hide or ()),
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
                        policy=enhancement.value,
                        nth=nth,
                        place=place.value,
                        routine_s=ttl,
                        detection_s=max(ttl, EnhancementConfig.detection_s),
                        alert_s=max(ttl, EnhancementConfig.alert_s),
                    ),
                    spool=None if spool is None else SpoolConfig(spool),
                    delivery=delivery.value,
                    max_unacknowledged=max_unacknowledged,
                    flush_timeout_s=flush_timeout,
                    backoff_cap_s=backoff_cap,
                    grace_s=grace,
                    status_interval_s=status_interval,
                ),
            ),
            codec=CodecConfig(profile, device, threads),
            encoders=frames_at_once,
            metrics=metrics,
            restart=None,
        )

    set_up_logging(log_format)
    if context.invoked_subcommand is not None:
        context.obj = Given(config, secrets, one_camera)
        return
    try:
        site = one_camera() if config is None else _of_file(context, config, secrets)
        from edge.service import serve

        raise typer.Exit(asyncio.run(serve(site, alone=config is None, summary=summary)))
    except ConfigError as error:
        if config is not None:
            # As lines, one for each fault.
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        raise typer.BadParameter(str(error)) from error
    except SourceError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


def _of_file(context: typer.Context, config: Path, secrets: Path | None) -> SiteConfig:
    """The site of a file, if no option of one camera is given beside it."""
    for name in context.params:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE" and name not in _OF_THE_PROCESS:
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter(f"{option} is for one camera without --config: set it in {config}")
    from edge.site_file import read_site

    return read_site(config, secrets)


def _polygon(text: str) -> Polygon:
    """A polygon as it is given on a command line: X,Y:X,Y:X,Y.

    Raises:
        ConfigError: it is written otherwise.
    """
    try:
        corners = [tuple(float(share) for share in corner.split(",")) for corner in text.split(":")]
        return tuple((x, y) for x, y in corners)
    except ValueError as error:
        raise ConfigError(
            f"hidden part {text!r}: give its corners as shares of width and height, as 0,0:0.3,0:0.3,0.4"
        ) from error
