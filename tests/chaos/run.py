"""The whole of `make chaos`: which installations are set up, what is done to them, and what is counted at the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from secondsight.demo.errors import ProcessError
from tests.chaos.campaign import Log, NotRecoveredError, campaign
from tests.chaos.footprint import Soak, Trend
from tests.chaos.installation import EdgePlan, Installation, Life, StoreKind, redis_server, running
from tests.chaos.invariant import Count, count
from tests.chaos.unruly import FLOODING

FAULTS_S: Final = 390.0
"""Of faults on Valkey, in which every kind comes once at least."""
WARM_UP_S: Final = 45.0
SOAK_S: Final = 600.0
REDIS_S: Final = 90.0
REDIS_KINDS: Final = (
    "kill -9 of the store",
    "kill -9 of the server",
    "kill -9 of the worker",
    "the store frozen",
    "the server's link to the store reset",
    "the server's link to the store cut in the middle of a message",
    "a full store",
)
"""Faults that touch the store: the rest does not know which one it is."""

_KEPT: Final = 60
_TTL_S: Final = 20
_LOST_WITH_KEY: Final = frozenset({"key_lost", "nack_reference"})
_SPOOL_BYTES: Final = 2**17


@dataclass(frozen=True)
class Plan:
    """What to run. `share` scales the time of faults, `peace` that without."""

    seed: int
    share: float = 1.0
    peace: float = 1.0
    kinds: Sequence[str] | None = None


@dataclass
class Outcome:
    """What came of it."""

    seed: int
    logs: dict[str, Log] = field(default_factory=dict)
    counts: dict[str, list[Count]] = field(default_factory=dict)
    lives: dict[str, list[Life]] = field(default_factory=dict)
    lost_lives: dict[str, int] = field(default_factory=dict)
    spooled: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    trends: list[Trend] = field(default_factory=list)
    soak_s: float = 0.0
    violations: list[str] = field(default_factory=list)

    def dropped(self) -> Counter[str]:
        """By reason, of all edges that ended in order."""
        drops: Counter[str] = Counter()
        for lives in self.lives.values():
            for life in lives:
                drops.update(life.counts["dropped"])
        return drops


def plans() -> list[EdgePlan]:
    """Cameras of an installation: one that sends what is new, one that keeps everything."""
    common = {
        "backoff_cap_s": 2.0,
        "status_interval_s": 30.0,
        "enhancement": {"routine_s": _TTL_S, "detection_s": _TTL_S, "alert_s": _TTL_S},
    }
    complete = {"delivery": "complete", "longest_group": 8, "grace_s": 30.0}
    return [
        EdgePlan("gate", settings=common),
        EdgePlan("dock", settings=common | complete, spool_bytes=_SPOOL_BYTES),
    ]


async def outcome_of(plan: Plan, folder: Path) -> Outcome:
    """Run it all."""
    outcome = Outcome(plan.seed)
    await _on("valkey", plan, outcome, folder, plan.kinds, FAULTS_S, soak=True)
    if redis_server() is None:
        print("no redis-server is installed: its part is left out", flush=True)
    else:
        kinds = [kind for kind in REDIS_KINDS if plan.kinds is None or kind in plan.kinds]
        if kinds:
            await _on("redis", plan, outcome, folder, kinds, REDIS_S, soak=False)
    return outcome


async def _on(
    store: StoreKind,
    plan: Plan,
    outcome: Outcome,
    folder: Path,
    kinds: Sequence[str] | None,
    seconds: float,
    soak: bool,
) -> None:
    log = outcome.logs[store] = Log()
    folder = folder / store
    async with running(folder, plans(), store, _KEPT, "ssd-mobilenet", guarded=True, apart=True) as site:
        print(f"on {store}", flush=True)
        try:
            await campaign(
                site, plan.seed, plan.share * seconds, log, _say, kinds, whole_decks=plan.share >= 1
            )
            if soak and plan.peace:
                outcome.trends = await _soak(site, plan.peace, outcome)
        except (NotRecoveredError, ProcessError) as error:
            outcome.violations.append(f"{store}: {error}")
        for edge in site.edges.values():
            try:
                await site.end_edge(edge)
            except ProcessError as error:
                outcome.violations.append(f"{store}: {error}")
        with contextlib.suppress(TimeoutError):
            await site.settled()
        outcome.lives[store], outcome.lost_lives[store] = site.lives, site.lost_lives
        outcome.counts[store] = await asyncio.to_thread(_counts, site)
    outcome.violations += [f"{store}: {breach}" for breach in site.breaches]
    outcome.refusals[store] = dict(site.refusals)
    for counted in outcome.counts[store]:
        outcome.violations += [f"{store}, {counted.camera}: {violation}" for violation in counted.violations]
    outcome.spooled[store] = sum(map(len, site.spooled.values()))
    for camera in site.edges:
        missing = site.lost_from_spool(camera)
        # A frame whose key frame the store has lost is dropped with that reason.
        given_up = sum(
            times
            for life in site.lives
            if life.camera == camera
            for reason, times in life.counts["dropped"].items()
            if reason in _LOST_WITH_KEY
        )
        if len(missing) > given_up:
            outcome.violations.append(
                f"{store}, {camera}: {len(missing)} frames that lay in the spool of a killed edge were never stored"
            )
    for life in site.lives:
        if life.unaccounted():
            outcome.violations.append(
                f"{store}, {life.camera}: {life.unaccounted()} captured frames are unaccounted for: {life.counts}"
            )


async def _soak(site: Installation, share: float, outcome: Outcome) -> list[Trend]:
    """Peace, in which memory, threads and file descriptors have to stay where they are."""
    _say("peace")

    await asyncio.sleep(share * WARM_UP_S)
    pids = {name: part.child.pid for name, part in site.parts.items()}
    if site.store_kind == "valkey":
        pids["store's data"] = await site.store_pid()
    soak = Soak(pids)
    begun = time.monotonic()
    await soak.sample(share * SOAK_S)
    outcome.soak_s = time.monotonic() - begun
    trends = soak.trends()
    outcome.violations += [
        f"{trend.process}: {trend.quantity} grew by {trend.growth} ± {trend.error} in ten minutes, from {trend.level}"
        for trend in trends
        if not trend.flat
    ]
    return trends


def _counts(site: Installation) -> list[Count]:
    return [
        count(
            camera,
            said,
            site.observer.cameras[camera],
            site.subscriber.got[camera],
            site.codec(),
            rising=not camera.startswith(FLOODING),
        )
        for camera, said in sorted(site.witness.cameras.items())
        if camera
    ]


def _say(text: str) -> None:
    print(text, flush=True)
