"""Which requests go on record when they are turned away at the door: routes say so themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import Request

from server.audit.record import Subject

Asked = Callable[[Request], Subject | None]
"""Tells what a request is about; None for one that is not for the record."""

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_ASKED: Final[dict[Callable[..., Any], Asked]] = {}


def on_record(subject: Subject | Asked) -> Callable[[_Endpoint], _Endpoint]:
    """Have a route's requests on record when whoever asks is not let in: write it between route and endpoint.

    What becomes of the requests that are let in, the route has to record itself.
    """

    def declare(endpoint: _Endpoint) -> _Endpoint:
        _ASKED[endpoint] = (lambda _: subject) if isinstance(subject, Subject) else subject
        return endpoint

    return declare


def subject_of(request: Request) -> Subject | None:
    """What a request's route says that it is about; None when that is not for the record."""
    asked = _ASKED.get(request.scope["endpoint"])
    return None if asked is None else asked(request)


def is_on_record(endpoint: Callable[..., Any]) -> bool:
    """Whether a route has said what its requests are about."""
    return endpoint in _ASKED


def human_view(request: Request) -> Subject | None:
    """Of a route whose query names the view: human views."""
    return Subject.HUMAN_VIEW if request.query_params.get("view") == "human" else None


def enhancement_layer(request: Request) -> Subject | None:
    """Of a route whose path names the layer: enhancement layers."""
    return Subject.ENHANCEMENT_LAYER if request.path_params["layer"] == "enhancement" else None
