"""What `make chaos` found, as JSON and as a table for people."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from server.store.binary import find_server_binary
from shared_models.evaluation.markdown import Report, or_dash
from tests.chaos.installation import faketime, redis_server
from tests.chaos.run import Outcome

_SUMMED: Final = (
    "sent",
    "acknowledged",
    "presumed",
    "stored",
    "recognised",
    "delivered",
    "lost",
    "duplicated",
)
_PACKAGES: Final = ("grpcio", "redis", "torch", "av")


def write(outcome: Outcome, seconds: float, out: Path | None) -> str:
    """Write `out` and the Markdown beside it, if there is a place; gives the Markdown."""
    results = _results(outcome, seconds)
    text = _markdown(results)
    if out is not None:
        out.write_text(json.dumps(results, indent=2) + "\n")
        out.with_suffix(".md").write_text(text)
    return text


def _results(outcome: Outcome, seconds: float) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": outcome.seed,
        "seconds": round(seconds),
        "machine": _machine(),
        "held": not outcome.violations,
        "violations": outcome.violations,
        "stores": {
            store: {
                "faults": [
                    {"kind": kind, "injected": times, "recovery_median_s": median, "recovery_worst_s": worst}
                    for kind, times, median, worst in log.rows()
                ],
                "cameras": [counted.as_dict() for counted in outcome.counts.get(store, ())],
                "strangers_refused": outcome.refusals.get(store, {}),
                "spooled_when_killed": outcome.spooled.get(store, 0),
                "edges_ended_in_order": len(outcome.lives.get(store, ())),
                "edges_killed": outcome.lost_lives.get(store, 0),
                "edges": [
                    {"camera": life.camera, **_told(life.counts)} for life in outcome.lives.get(store, ())
                ],
            }
            for store, log in outcome.logs.items()
        },
        "dropped": dict(outcome.dropped().most_common()),
        "soak": {"seconds": round(outcome.soak_s), "trends": [trend.as_dict() for trend in outcome.trends]},
    }


def _told(counts: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "captured",
        "encoded",
        "sent",
        "resent",
        "acked",
        "presumed",
        "unacknowledged",
        "dropped",
        "connections",
    )
    return {name: counts[name] for name in kept}


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "valkey": _version_of(str(find_server_binary())),
        "redis": _version_of(program) if (program := redis_server()) else None,
        "libfaketime": faketime() is not None,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _version_of(program: str) -> str:
    """As in ``Redis server v=7.0.15 sha=…``."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word[2:] for word in told.split() if word.startswith("v=")), told.strip())


def _markdown(results: dict[str, Any]) -> str:
    report = Report("chaos")
    machine = results["machine"]
    report.heading(1, "Faults, and what was kept")
    report.paragraph(
        f"By `make chaos` (seed {results['seed']}, {results['date']}, {results['seconds'] / 60:.0f} minutes) on "
        f"{machine['cores']} cores: real processes, faults injected by a seeded schedule, frames counted from the "
        "bytes on the uplink, the store's streams and a subscriber. What is promised stands in "
        "[reliability.md](../reliability.md)."
    )
    held = "Every promise held." if results["held"] else "**Promises were broken:**"
    report.paragraph("\n".join([held, *(f"- {violation}" for violation in results["violations"])]))
    report.heading(2, "Frames")
    report.table(
        ["store", *_SUMMED],
        [
            [store, *(str(_sum(part["cameras"], name)) for name in _SUMMED)]
            for store, part in _stores(results)
        ],
    )
    report.paragraph(
        "*Acknowledged*: by an answer on the stream that the frame went out on. *Presumed*: told as stored by the next "
        "Welcome, because the stream had broken before the answer came; held to the same. *Stored* counts frames whose "
        "answer never came, too. *Lost*: acknowledged, and not stored, recognised or delivered. *Duplicated*: there "
        "under one name twice, or one picture under two names."
    )
    viewed, least = _views(results)
    report.paragraph(
        f"Of the stored frames all were decoded, and {viewed} seen as people would; the least like the picture that "
        f"was taken had {or_dash(least, '.1f')} dB. Every picture carries its number, so that another one would be "
        "seen."
    )
    spooled = sum(part["spooled_when_killed"] for part in results["stores"].values())
    refused = ", ".join(
        f"{code} {times}"
        for part in results["stores"].values()
        for code, times in sorted(part["strangers_refused"].items())
    )
    report.paragraph(
        f"In the spools of killed edges lay {spooled} frames, all of which came later or had lost their key frame. "
        f"Clients with no, wrong, stolen and revoked tokens were answered: {refused or 'none came'}."
    )
    report.heading(2, "Frames that were not sent")
    drops = results["dropped"] or {"none": 0}
    report.table(["reason", "frames"], [[f"`{reason}`", str(times)] for reason, times in drops.items()])
    captured, acked = (sum(edge[name] for edge in _edges(results)) for name in ("captured", "acked"))
    report.paragraph(
        f"As counted by the edges that ended in order ({len(_edges(results))}; {_killed(results)} were killed and "
        f"could not tell): captured {captured}, acknowledged {acked}, the rest dropped by these reasons or still "
        "waiting."
    )
    report.heading(2, "Faults and recovery")
    report.paragraph(
        "Recovery is the time from the end of the fault until a frame of every camera is recognised that was sent "
        "after it. It is told, not promised."
    )
    for store, part in _stores(results):
        report.heading(3, store)
        report.table(
            ["fault", "times", "median, s", "worst, s"],
            [
                [
                    fault["kind"],
                    str(fault["injected"]),
                    or_dash(fault["recovery_median_s"], ".1f"),
                    or_dash(fault["recovery_worst_s"], ".1f"),
                ]
                for fault in part["faults"]
            ],
        )
    if results["soak"]["trends"]:
        report.heading(2, "Peace")
        report.paragraph(
            f"Over {results['soak']['seconds'] / 60:.0f} minutes without faults, after the ones above: a straight line "
            "through memory, threads and file descriptors, its growth in ten minutes with its standard error."
        )
        report.table(
            ["process", "quantity", "level", "growth", "error", "flat"],
            [
                [
                    trend["process"],
                    trend["quantity"],
                    *(f"{trend[name]:z.1f}" for name in ("level", "growth", "error")),
                    "yes" if trend["flat"] else "**no**",
                ]
                for trend in results["soak"]["trends"]
            ],
        )
    return report.text


def _stores(results: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    versions = results["machine"]
    return ((f"{store} {versions[store]}", part) for store, part in results["stores"].items())


def _edges(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge for part in results["stores"].values() for edge in part["edges"]]


def _killed(results: dict[str, Any]) -> int:
    return sum(part["edges_killed"] for part in results["stores"].values())


def _sum(cameras: list[dict[str, Any]], name: str) -> int:
    return sum(camera[name] for camera in cameras)


def _views(results: dict[str, Any]) -> tuple[int, float | None]:
    cameras = [camera for part in results["stores"].values() for camera in part["cameras"]]
    least = [camera["least_psnr"] for camera in cameras if camera["least_psnr"] is not None]
    return _sum(cameras, "viewed"), min(least, default=None)
