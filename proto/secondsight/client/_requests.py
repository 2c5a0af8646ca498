"""What is asked of the server over HTTP, and what is made of its answers. Nothing here waits or sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from secondsight import store_keys
from secondsight.client._documents import UnreadableError, moment, read
from secondsight.client._exceptions import SettingsError
from secondsight.client._values import (
    Camera,
    Document,
    Frame,
    ImageFormat,
    LayerBytes,
    LayerName,
    Page,
    Provenance,
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


def frames(
    camera: str,
    *,
    since: datetime | None,
    until: datetime | None,
    task: str | None,
    page_size: int | None,
    kept: bool,
) -> Request[Page]:
    """The first page of a camera's frames."""
    query = _given({"from": since, "to": until, "task": task, "limit": page_size})
    return Request(path=f"{_camera(camera)}/{'kept' if kept else 'frames'}", query=query, parse=_page)


def page_at(address: str) -> Request[Page]:
    """The page that a `next` leads to."""
    path, _, query = address.partition("?")
    return Request(path=path, query=dict(httpx.QueryParams(query)), parse=_page)


def frame(camera: str, name: str) -> Request[Frame]:
    """One frame."""
    return Request(path=_frame(camera, name), parse=_one_frame)


def frame_at(camera: str, time: datetime) -> Request[Frame]:
    """The frame nearest to a moment."""
    return Request(path=f"{_camera(camera)}/frames/at", query={"time": moment(time)}, parse=_one_frame)


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
) -> Request[View]:
    """A picture of a frame."""

    def parse(response: httpx.Response) -> View:
        return View(content=response.content, provenance=_provenance(response, camera, name, which))

    query = _given({"view": which, "slices": slices, "width": width, "format": image_format, "wait": wait})
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


def document(path: str, **query: object) -> Request[Document]:
    """An answer as the server wrote it."""
    return Request(path=path, query=_given(query), parse=_document)


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


def _page(response: httpx.Response) -> Page:
    found = _document(response)
    return Page(frames=tuple(_frame_of(each) for each in member(response, "frames")), next=found.get("next"))


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

    return Provenance(
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
