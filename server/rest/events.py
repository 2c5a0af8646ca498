"""``/v1/events``: results as they come and cameras as they change, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from server import metrics
from server.errors import InvalidCursorError
from server.rest.event_stream import EventStream
from server.rest.gate import Caller
from server.rest.live import Live
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving
from server.resume_token import InvalidResumeTokenError, positions_in
from server.subscriptions import FIRST, Wanted

router = APIRouter(prefix="/v1/events", tags=["events"], responses=PROBLEM_RESPONSES)

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would gather events
}


class EventResponse(StreamingResponse):
    """A stream of events that ends when its reader takes nothing for `stuck` seconds."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncIterator[bytes], stuck: float) -> None:
        super().__init__(chunks, headers=_HEADERS)
        self._stuck = stuck

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._stuck):
                    await send(message)
            except TimeoutError as error:
                raise _StuckError from error

        try:
            await super().stream_response(send_in_time)
        except _StuckError:
            metrics.EVENT_STREAMS_STUCK.inc()


class _StuckError(Exception):
    """The reader takes nothing."""


async def _place(request: Request, caller: Caller) -> AsyncIterator[Live]:
    live = cast(Live, request.app.state.live)
    async with live.place(caller):
        yield live


@router.get(
    "",
    operation_id="follow_events",
    summary="Results and cameras, as they come and change",
    status_code=HTTPStatus.OK,
    response_class=EventResponse,
)
async def follow_events(
    services: Serving,
    caller: Caller,
    live: Annotated[Live, Depends(_place)],
    camera: Annotated[list[str] | None, Query(description="Only these cameras.")] = None,
    label: Annotated[
        list[str] | None,
        Query(description="Only detections with these labels; results without any are left out."),
    ] = None,
    minimum_score: Annotated[float, Query(ge=0, le=1, description="Only detections of this score.")] = 0.0,
    task: Annotated[str, Query(description="Results of this recognition task.")] = "",
    rate: Annotated[
        float | None,
        Query(
            ge=0.01,
            le=100,
            description="At most so many results of a camera per second: the newest of them. Else all.",
        ),
    ] = None,
    after: Annotated[
        str | None, Query(description="Go on after this `id` of an earlier stream of the same kind.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Likewise; browsers send it by themselves.")
    ] = None,
) -> EventResponse:
    """A stream of server-sent events, until the server or the reader's access ends.

    `result`: a Frame document; its `id` is where a later stream goes on. `cameras`: `{"cameras"}`, the names of all
    that there are, at first and whenever one has gone. `camera`: a Camera document, of each camera at first and of one
    whose state has changed then. `dropped`: `{"camera", "results"}`, results that this reader missed by being slow, or,
    with `null`, that were no longer kept when it came back.
    """
    subscriptions = services.subscriptions
    wanted = Wanted(camera or (), label or (), minimum_score, task)
    cameras = await subscriptions.cameras(wanted, caller)
    token = last_event_id or after
    resume_after: dict[str, str] = {}
    if token is not None:
        try:
            # A camera that the earlier stream did not know: all that it sent came after it.
            resume_after = dict.fromkeys(cameras, FIRST) | positions_in(token, wanted.task, cameras)
        except InvalidResumeTokenError as error:
            raise InvalidCursorError(token) from error
    positions = await subscriptions.positions(cameras, wanted.task, resume_after, otherwise_first=False)
    resumed = {camera_id: positions[camera_id] for camera_id in resume_after if camera_id in positions}
    at_once = []
    if rate is not None:
        at_once = await subscriptions.bus.newest_results(resumed, wanted.task)
        positions |= {published.camera_id: published.entry_id for published in at_once}
    stream = EventStream(
        live,
        subscriptions,
        caller,
        wanted,
        rate,
        positions,
        at_once=at_once,
        config=services.config,
    )
    return EventResponse(stream.chunks(), services.config.stream_stuck)
