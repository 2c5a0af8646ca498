"""The process of an edge: its signals, its metrics, what it tells systemd, its summary and its exit code."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from importlib.metadata import version
from pathlib import Path

from edge.config import SiteConfig
from edge.errors import ConfigError
from edge.exposition import serve_metrics
from edge.metrics import Tally
from edge.site import Site
from secondsight import systemd
from secondsight.exit_codes import ExitCode
from secondsight.tracing import tracing_as
from shared_models import load_codec, use_threads

_LOG = logging.getLogger(__name__)


async def serve(config: SiteConfig, alone: bool, summary: Path | None) -> int:
    """Run the cameras of `config` until they end, or until SIGTERM or SIGINT; returns the exit code.

    Args:
        alone: the one camera speaks for the process: in the line "ready", and in the summary.
        summary: file of the summary; None prints it.

    Raises:
        ConfigError: it cannot be run so.
        SourceError: a source cannot be opened or read, and the camera is not to be begun again.
    """
    if summary is not None:
        _check_summary(summary)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    site = Site(config, version("secondsight"))
    use_threads(config.codec.threads)
    wanted = config.codec
    codec = await asyncio.to_thread(
        load_codec, wanted.profile, device=wanted.device, eight_bit=wanted.eight_bit
    )
    site.equip(codec)
    tallies = site.tallies
    try:
        with serve_metrics(config.metrics, tallies), tracing_as("secondsight-edge"):
            print(_ready(config, alone), flush=True)
            async with systemd.told(stop):
                await site.run(stop)
    finally:
        site.close()
        _write_summary(_summary(tallies, alone), summary)
    return 0 if stop.is_set() else _exit_code(config, tallies)


def _ready(config: SiteConfig, alone: bool) -> str:
    cameras = config.cameras
    if alone:
        return f"ready camera={cameras[0].camera_id} server={cameras[0].server}"
    return f"ready cameras={','.join(camera.camera_id for camera in cameras)}"


def _exit_code(config: SiteConfig, tallies: dict[str, Tally]) -> int:
    code = 0
    for camera in config.cameras:
        tally = tallies[camera.camera_id]
        if left := tally.unacknowledged:
            _LOG.error(
                "camera %s: %d frames were not acknowledged%s: %s",
                camera.camera_id,
                left,
                _whereabouts(tally),
                tally.refusal or f"is the server at {camera.server} running?",
            )
            code = ExitCode.INCOMPLETE
    return code


def _whereabouts(tally: Tally) -> str:
    """What becomes of the frames that were not acknowledged; empty without a spool."""
    spool = tally.spool
    if spool is None:
        return ""
    if not spool.in_memory:
        return " and wait in the spool"
    kept = spool.frames - spool.in_memory
    return f", {kept} wait in the spool and {spool.in_memory} are lost, which its disk did not take"


def _summary(tallies: dict[str, Tally], alone: bool) -> dict[str, object]:
    summaries = {name: tally.summary() for name, tally in tallies.items()}
    return next(iter(summaries.values())) if alone else {"cameras": summaries}


def _check_summary(path: Path) -> None:
    """Look before the run whether `path` can be written after it."""
    written = path if path.exists() else path.parent
    if path.is_dir() or not written.exists() or not os.access(written, os.W_OK):
        raise ConfigError(
            f"the summary cannot be written to {path}: give a file in a folder that this user may write (--summary)"
        )


def _write_summary(counts: dict[str, object], path: Path | None) -> None:
    text = json.dumps(counts)
    if path is None:
        print(text, flush=True)
    else:
        path.write_text(text + "\n")
