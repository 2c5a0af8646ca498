"""``/v1/overview``: what the uplinks carry, what stays behind, and how every camera and the store do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from server.flow import CameraFlow, Carried
from server.overview import Overview as Looks
from server.overview import Step
from server.rest.cameras import Camera, CameraState, camera_document
from server.rest.gate import Caller
from server.rest.moments import utc
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving
from server.store_watch import StoreMemory

router = APIRouter(prefix="/v1/overview", tags=["overview"], responses=PROBLEM_RESPONSES)


class Uplink(BaseModel):
    """What the uplinks to this server carry, by layer. Bytes a second, over the last minute."""

    machine: float = Field(description="Machine layers.")
    enhancement_stored: float = Field(
        description="Enhancement layers that edges send along with their frames, to the server's store."
    )
    enhancement_fetched: float = Field(
        description="Enhancement layers that wait near the camera and came because somebody wanted to see a frame."
    )
    both_layers: float = Field(
        description="What it would be with both layers of every frame: the baseline of what is saved."
    )


class Saved(BaseModel):
    """Since this server's start: what was not sent, against both layers of every frame that was stored."""

    sent_bytes: int
    both_layers_bytes: int
    bytes: int = Field(description="The difference.")
    share: float | None = Field(description="Of the baseline; null before any frame.")


class CameraOverview(BaseModel):
    """One camera."""

    camera: str
    state: CameraState
    since: datetime | None
    slow: str | None = Field(
        description="The part that its frames wait for: camera, encoder, network or server."
    )
    slow_detail: str | None
    last_frame_at: datetime
    awaiting: int | None = Field(description="Stored frames that await recognition.")
    frames_per_second: float
    recognised_per_second: float
    uplink: Uplink
    saved: Saved
    dropped: dict[str, int] | None = Field(
        description="Captured frames that were not stored in the last minute, by reason; null when the edge is silent."
    )
    reconnects: int | None = Field(description="Of its edge, in the last hour; null when the edge is silent.")
    machine_views: int = Field(description="Pictures served in the last hour.")
    human_views: int
    oldest_frame_at: datetime | None = Field(description="Frames are kept since then.")
    enhancement_life_seconds: float | None = Field(
        description="For which the newest frame's enhancement layer is kept; null when it has none, or when the edge "
        "alone knows."
    )


class Sum(BaseModel):
    """All cameras that whoever asks may see."""

    cameras: dict[CameraState, int]
    awaiting: int
    frames_per_second: float
    recognised_per_second: float
    uplink: Uplink
    saved: Saved
    dropped: dict[str, int]
    reconnects: int
    machine_views: int
    human_views: int


class Store(BaseModel):
    """The store's memory, of all its nodes together, at the last look."""

    up: bool
    memory_bytes: int
    memory_limit_bytes: int | None = Field(description="Null when it has none.")
    evicted_keys: int = Field(description="That it gave up for want of memory, since its start.")


class Retention(BaseModel):
    """For how long things are kept, by this server's configuration."""

    frames: int = Field(description="Of each camera, at least, while there is room.")
    results: int
    enhancement_detection_seconds: float | None = Field(
        description="Enhancement layers of frames in which something was recognised; null: as any other."
    )
    enhancement_alert_seconds: float = Field(description="Those that somebody has to look at.")
    history_days: int
    audit_days: int


class History(BaseModel):
    """The last hour, a value for each moment. Bytes a second since the moment before, by layer as in `Uplink`."""

    step_seconds: float
    times: list[datetime]
    machine: list[float]
    enhancement_stored: list[float]
    enhancement_fetched: list[float]
    both_layers: list[float]
    frames_per_second: list[float]
    awaiting: list[int | None]


class Overview(BaseModel):
    """How all does. Rates and history are of the uplinks to the server that answers."""

    at: datetime
    total: Sum
    cameras: list[CameraOverview]
    store: Store
    retention: Retention
    history: History


@router.get("", operation_id="get_overview", summary="How all does")
async def get_overview(
    services: Serving,
    caller: Caller,
    camera: Annotated[
        str | None, Query(max_length=64, description="Only this camera, in all parts; all when left out.")
    ] = None,
) -> Overview:
    """Uplinks by layer, what is saved, lag, drops, reconnects, the store, and the last hour."""
    looks = services.overview
    told = [
        camera_document(found)
        for found in await services.catalogue.cameras()
        if caller.sees(found.camera_id) and camera in (None, found.camera_id)
    ]
    overviews = [await _camera(services, looks, each) for each in told]
    return Overview(
        at=datetime.now(UTC),
        total=_sum(overviews),
        cameras=overviews,
        store=_store(services.store_watch.memory),
        retention=_retention(services),
        history=_history(looks.steps(), [each.camera for each in told], services.config.overview_step),
    )


async def _camera(services: Services, looks: Looks, told: Camera) -> CameraOverview:
    flow = looks.flow(told.camera) or CameraFlow()
    carried, seconds = looks.last_minute(told.camera)
    reach = await services.catalogue.reach(told.camera)
    return CameraOverview(
        **told.model_dump(
            include={"camera", "state", "since", "slow", "slow_detail", "last_frame_at", "awaiting"}
        ),
        frames_per_second=round(flow.frames.per_second, 3),
        recognised_per_second=round(flow.results.per_second, 3),
        uplink=_uplink(carried, seconds),
        saved=_saved(flow.carried),
        dropped=None if told.edge is None else told.edge.dropped_last_minute,
        reconnects=None if told.edge is None else told.edge.reconnects_last_hour,
        machine_views=round(flow.views["machine"].total),
        human_views=round(flow.views["human"].total),
        oldest_frame_at=None if reach.oldest is None else utc(reach.oldest),
        enhancement_life_seconds=reach.enhancement_life,
    )


def _uplink(carried: Carried, seconds: float) -> Uplink:
    rates = [
        round(amount / seconds, 1) if seconds else 0.0
        for amount in (carried.machine, carried.stored, carried.fetched, carried.whole)
    ]
    return Uplink(
        machine=rates[0], enhancement_stored=rates[1], enhancement_fetched=rates[2], both_layers=rates[3]
    )


def _saved(carried: Carried) -> Saved:
    sent = carried.machine + carried.stored + carried.fetched
    return _difference(sent, carried.whole)


def _difference(sent: int, whole: int) -> Saved:
    return Saved(
        sent_bytes=sent,
        both_layers_bytes=whole,
        bytes=whole - sent,
        share=round(1 - sent / whole, 4) if whole else None,
    )


def _sum(cameras: Sequence[CameraOverview]) -> Sum:
    dropped: Counter[str] = Counter()
    for camera in cameras:
        dropped.update(camera.dropped or {})
    return Sum(
        cameras={state: sum(camera.state is state for camera in cameras) for state in CameraState},
        awaiting=sum(camera.awaiting or 0 for camera in cameras),
        frames_per_second=round(sum(camera.frames_per_second for camera in cameras), 3),
        recognised_per_second=round(sum(camera.recognised_per_second for camera in cameras), 3),
        uplink=Uplink(
            **{
                name: round(sum(getattr(camera.uplink, name) for camera in cameras), 1)
                for name in Uplink.model_fields
            }
        ),
        saved=_difference(
            sum(camera.saved.sent_bytes for camera in cameras),
            sum(camera.saved.both_layers_bytes for camera in cameras),
        ),
        dropped=dict(dropped.most_common()),
        reconnects=sum(camera.reconnects or 0 for camera in cameras),
        machine_views=sum(camera.machine_views for camera in cameras),
        human_views=sum(camera.human_views for camera in cameras),
    )


def _store(memory: StoreMemory) -> Store:
    return Store(
        up=memory.up,
        memory_bytes=memory.used,
        memory_limit_bytes=memory.limit or None,
        evicted_keys=memory.evicted,
    )


def _retention(services: Services) -> Retention:
    config = services.config
    return Retention(
        frames=config.frames_kept,
        results=config.results_kept,
        enhancement_detection_seconds=config.retain_detection,
        enhancement_alert_seconds=config.retain_alert,
        history_days=config.history_days,
        audit_days=config.audit_days,
    )


def _history(steps: Sequence[Step], cameras: Sequence[str], step_seconds: float) -> History:
    seen = set(cameras)
    carried = [step.of(seen) for step in steps]

    def rates(amounts: Sequence[int]) -> list[float]:
        return [round(amount / step.seconds, 2) for amount, step in zip(amounts, steps, strict=True)]

    return History(
        step_seconds=step_seconds,
        times=[datetime.fromtimestamp(round(step.at, 3), UTC) for step in steps],
        machine=rates([each.machine for each in carried]),
        enhancement_stored=rates([each.stored for each in carried]),
        enhancement_fetched=rates([each.fetched for each in carried]),
        both_layers=rates([each.whole for each in carried]),
        frames_per_second=rates([each.frames for each in carried]),
        awaiting=[_awaiting(step, seen) for step in steps],
    )


def _awaiting(step: Step, cameras: set[str]) -> int | None:
    known = [count for camera, count in step.awaiting.items() if camera in cameras]
    return sum(known) if known else None
