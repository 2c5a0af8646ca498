"""What is asked of the server over HTTP, and what is made of its answers. Nothing here waits or sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from secondsight import store_keys
from secondsight.client._documents import UnreadableError, document_of, moment, read
from secondsight.client._exceptions import JobError, SettingsError
from secondsight.client._values import (
    Box,
    Camera,
    Document,
    ExportKind,
    Frame,
    ImageFormat,
    Job,
    LayerBytes,
    LayerName,
    Mark,
    MarksSummary,
    Page,
    Provenance,
    Recogniser,
    Thing,
    Timeline,
    Verdict,
    View,
    ViewName,
)

T = TypeVar("T")

_TOLD: Final = "secondsight-"
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One request, and how its answer is read.

    Attributes:
        harmless: asking twice does no more than asking once, so that it may be tried again.
    """

    path: str
    parse: Callable[[httpx.Response], T]
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    harmless: bool | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be tried again."""
        if self.harmless is not None:
            return self.harmless
        return self.method in _IDEMPOTENT


def cameras() -> Request[tuple[Camera, ...]]:
    """All cameras, sorted by name."""

    def parse(response: httpx.Response) -> tuple[Camera, ...]:
        return tuple(read(Camera, each) for each in member(response, "cameras"))

    return Request(path="/v1/cameras", parse=parse)


def recognisers() -> Request[tuple[Recogniser, ...]]:
    """What each task recognises with."""

    def parse(response: httpx.Response) -> tuple[Recogniser, ...]:
        return tuple(read(Recogniser, each) for each in member(response, "recognisers"))

    return Request(path="/v1/recognisers", parse=parse)


def frames(
    camera: str,
    *,
    since: datetime | None,
    until: datetime | None,
    task: str | None,
    page_size: int | None,
    kept: bool,
) -> Request[Page[Frame]]:
    """The first page of a camera's frames."""
    return Request(
        path=f"{_camera(camera)}/{'kept' if kept else 'frames'}",
        query=_given({"from": since, "to": until, "task": task, "limit": page_size}),
        parse=_page("frames", _frame_of),
    )


def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]] | None:
    """The page after `page`, which answered `request`."""
    if page.next is None:
        return None
    path, _, query = page.next.partition("?")
    return replace(request, path=path, query=dict(httpx.QueryParams(query)))


def frame(camera: str, name: str, *, task: str | None) -> Request[Frame]:
    """One frame."""
    return Request(path=_frame(camera, name), query=_given({"task": task}), parse=_one_frame)


def frame_at(camera: str, time: datetime, *, task: str | None) -> Request[Frame]:
    """The frame nearest to a moment."""
    query = _given({"time": time, "task": task})
    return Request(path=f"{_camera(camera)}/frames/at", query=query, parse=_one_frame)


def view(
    camera: str,
    name: str,
    which: ViewName,
    *,
    reason: str | None,
    slices: int | None,
    width: int | None,
    image_format: ImageFormat,
    wait: float | None,
    download: bool,
) -> Request[View]:
    """A picture of a frame."""

    def parse(response: httpx.Response) -> View:
        return View(content=response.content, provenance=_provenance(response, camera, name, which))

    query = _given(
        {
            "view": which,
            "slices": slices,
            "width": width,
            "format": image_format,
            "wait": wait,
            "download": "true" if download else None,
        }
    )
    return Request(path=f"{_frame(camera, name)}/image", query=query, headers=_reason(reason), parse=parse)


def layer(
    camera: str, name: str, which: LayerName, *, reason: str | None, wait: float | None
) -> Request[LayerBytes]:
    """A raw bitstream."""

    def parse(response: httpx.Response) -> LayerBytes:
        return LayerBytes(content=response.content, provenance=_provenance(response, camera, name, which))

    path = f"{_frame(camera, name)}/layers/{which}"
    return Request(path=path, query=_given({"wait": wait}), headers=_reason(reason), parse=parse)


def keep(camera: str, name: str, *, reason: str | None) -> Request[Frame]:
    """Have a frame kept. It is no more kept by being kept twice."""
    return Request(
        method="POST",
        path=f"{_frame(camera, name)}/keep",
        headers=_reason(reason),
        parse=_one_frame,
        harmless=True,
    )


def cost(
    camera: str, name: str, which: ViewName, *, slices: int | None, reason: str | None
) -> Request[Document]:
    """What a view costs, in bytes."""
    query = _given({"view": which, "slices": slices})
    return Request(path=f"{_frame(camera, name)}/cost", query=query, headers=_reason(reason), parse=_document)


def overview() -> Request[Document]:
    """How all does."""
    return Request(path="/v1/overview", parse=_document)


def timeline(
    camera: str, *, since: datetime | None, until: datetime | None, buckets: int | None, task: str | None
) -> Request[Timeline]:
    """A camera's history."""
    return Request(
        path=f"{_camera(camera)}/timeline",
        query=_given({"from": since, "to": until, "buckets": buckets, "task": task}),
        parse=lambda response: read(Timeline, _document(response)),
    )


def things(
    camera: str,
    *,
    since: datetime | None,
    until: datetime | None,
    label: str | None,
    zone: str | None,
    alert: bool,
    task: str | None,
) -> Request[Page[Thing]]:
    """The first page of what was seen."""
    query = {"from": since, "to": until, "label": label, "zone": zone, "task": task}
    return Request(
        path=f"{_camera(camera)}/things",
        query=_given({**query, "alert": "true" if alert else None}),
        parse=_page("things", lambda told: read(Thing, told)),
    )


def marks(camera: str | None) -> Request[Page[Mark]]:
    """The first page of marks."""
    return Request(path="/v1/marks", query=_given({"camera": camera}), parse=_page("marks", _mark_of))


def marks_of(camera: str, name: str) -> Request[tuple[Mark, ...]]:
    """All marks on a frame."""

    def parse(response: httpx.Response) -> tuple[Mark, ...]:
        return tuple(_mark_of(each) for each in member(response, "marks"))

    return Request(path=f"{_frame(camera, name)}/marks", parse=parse)


def marks_summary(
    camera: str | None, *, since: datetime | None, until: datetime | None
) -> Request[MarksSummary]:
    """How often results were right."""
    return Request(
        path="/v1/marks/summary",
        query=_given({"camera": camera, "from": since, "to": until}),
        parse=lambda response: read(MarksSummary, _document(response)),
    )


def mark(
    camera: str,
    name: str,
    verdict: Verdict,
    *,
    detection: int | None,
    box: Box | None,
    label: str | None,
    note: str,
    reason: str | None,
) -> Request[Mark]:
    """Say what a result is. Said again, it replaces itself."""
    body = {"verdict": verdict, "detection": detection, "box": document_of(box), "label": label, "note": note}
    return Request(
        method="POST",
        path=f"{_frame(camera, name)}/marks",
        headers=_reason(reason),
        body=body,
        parse=lambda response: _mark_of(_document(response)),
        harmless=True,
    )


def remove_mark(taken_back: Mark, *, reason: str | None) -> Request[None]:
    """Take a mark back."""
    path = f"{_frame(taken_back.camera, taken_back.frame)}/marks/{quote(taken_back.id, safe='')}"
    return Request(method="DELETE", path=path, headers=_reason(reason), parse=_nothing)


def make_clip(
    camera: str,
    since: datetime,
    until: datetime,
    view: ViewName,
    *,
    slices: int | None,
    width: int | None,
    reason: str | None,
    key: str | None,
) -> Request[Job]:
    """Have a film made."""
    body = {"camera": camera, "view": view, "slices": slices, "width": width, "reason": reason}
    return _order("clips", body, since, until, key)


def make_export(
    kind: ExportKind,
    cameras: Sequence[str],
    since: datetime,
    until: datetime,
    *,
    view: ViewName,
    image_format: ImageFormat,
    slices: int | None,
    width: int | None,
    task: str | None,
    reason: str | None,
    key: str | None,
) -> Request[Job]:
    """Have a file made of many frames."""
    body = {
        "kind": kind,
        "cameras": list(cameras),
        "view": view,
        "format": image_format,
        "slices": slices,
        "width": width,
        "task": task,
        "reason": reason,
    }
    return _order("exports", body, since, until, key)


def jobs(which: Literal["clips", "exports"]) -> Request[tuple[Job, ...]]:
    """Clips or exports, the last one asked for first."""

    def parse(response: httpx.Response) -> tuple[Job, ...]:
        return tuple(read(Job, each) for each in member(response, which))

    return Request(path=f"/v1/{which}", parse=parse)


def job(known: Job) -> Request[Job]:
    """How far a job is."""
    return Request(path=known.links["self"], parse=_one_job)


def is_done(known: Job) -> bool:
    """Whether a job's file is there.

    Raises:
        JobError: it will never be.
    """
    if known.has_ended and known.state != "done":
        why = known.failure or f"it is {known.state}"
        raise JobError(f"{known.kind} {known.id} was not made: {why}")
    return known.has_ended


def forget(known: Job) -> Request[None]:
    """Cancel a job, and remove what there is of it."""
    return Request(method="DELETE", path=known.links["self"], parse=_nothing)


def file_of(done: Job) -> str:
    """Address of a job's file.

    Raises:
        JobError: there is none.
    """
    if "file" not in done.links:
        raise JobError(f"{done.kind} {done.id} has no file: it is {done.state}")
    return done.links["file"]


def _order(
    which: str, body: Mapping[str, Any], since: datetime, until: datetime, key: str | None
) -> Request[Job]:
    wanted = {name: value for name, value in body.items() if value is not None}
    return Request(
        method="POST",
        path=f"/v1/{which}",
        # The same key with every try of this call, so that it makes one job.
        headers={"Idempotency-Key": key or uuid4().hex},
        body={**wanted, "from": moment(since), "to": moment(until)},
        parse=_one_job,
        harmless=True,
    )


def member(response: httpx.Response, name: str) -> Any:
    """A list of a document."""
    found = _document(response)
    if not isinstance(found.get(name), list):
        raise UnreadableError(f"the answer has no list {name!r}")
    return found[name]


def _document(response: httpx.Response) -> Document:
    found = response.json()
    if not isinstance(found, dict):
        raise UnreadableError("the answer is no object")
    return found


def _one_frame(response: httpx.Response) -> Frame:
    return _frame_of(_document(response))


def _one_job(response: httpx.Response) -> Job:
    return read(Job, _document(response))


def _nothing(_: httpx.Response) -> None:
    return None


def _page(name: str, item_of: Callable[[Document], T]) -> Callable[[httpx.Response], Page[T]]:
    def parse(response: httpx.Response) -> Page[T]:
        items = tuple(item_of(each) for each in member(response, name))
        return Page(items=items, next=_document(response).get("next"))

    return parse


def _mark_of(told: Document) -> Mark:
    return read(Mark, told)


def _frame_of(told: Document) -> Frame:
    known = {name: told.get(name) for name in ("camera", "frame", "captured_at")}
    result = told.get("result")
    # A result tells its frame when it is subscribed to, and stands in its frame here.
    return read(Frame, {**told, "result": None if result is None else {**known, **result}})


def _provenance(response: httpx.Response, camera: str, name: str, which: str) -> Provenance:
    headers = response.headers
    told = {key[len(_TOLD) :]: value for key, value in headers.items() if key.startswith(_TOLD)}

    def count(key: str) -> int | None:
        return int(told[key]) if key in told else None

    captured_at = told.get("captured-at")
    return Provenance(
        captured_at=None if captured_at is None else datetime.fromisoformat(captured_at),
        model=told.get("model"),
        slices=count("slices"),
        camera=camera,
        frame=name,
        view=which,
        media_type=headers.get("content-type", ""),
        key_frame=told.get("key-frame"),
        machine_bytes=count("machine-bytes"),
        enhancement_bytes=count("enhancement-bytes"),
        request=told.get("request"),
        etag=headers.get("etag"),
        told=told,
    )


def _camera(camera: str) -> str:
    try:
        return f"/v1/cameras/{store_keys.checked_camera_id(camera)}"
    except store_keys.InvalidCameraIdError as error:
        raise SettingsError(str(error)) from error


def _frame(camera: str, name: str) -> str:
    try:
        store_keys.parse_entry_id(name)
    except store_keys.InvalidEntryIdError as error:
        raise SettingsError(str(error)) from error
    return f"{_camera(camera)}/frames/{quote(name)}"


def _given(query: Mapping[str, object]) -> dict[str, str]:
    """Without what is left out."""
    return {
        name: moment(value) if isinstance(value, datetime) else str(value)
        for name, value in query.items()
        if value is not None
    }


def _reason(reason: str | None) -> dict[str, str]:
    """In a header: addresses stand in logs, where reasons do not belong."""
    if reason is None:
        return {}
    if not reason.isprintable():
        raise SettingsError("a reason is one line of text, without control characters")
    return {"Secondsight-Reason": reason}
