"""Routes that guard something say what their requests are about, so that refusals at the door are on record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from server.rest.app import CLOSED
from server.rest.gate import let_in_administrator
from server.rest.on_record import is_on_record


def closed_routes() -> list[APIRoute]:
    return [route for router in CLOSED for route in router.routes if isinstance(route, APIRoute)]


def calls(dependant: Dependant) -> set[object]:
    found: set[object] = {dependant.call}
    return found.union(*(calls(each) for each in dependant.dependencies))


def asked_of(route: APIRoute) -> Iterator[str]:
    """Names of what a request may say, in its query and in its body."""
    yield from (field.alias for field in route.dependant.query_params)
    for field in route.dependant.body_params:
        yield from getattr(field.field_info.annotation, "model_fields", ())


@pytest.mark.parametrize("route", closed_routes(), ids=lambda route: route.operation_id)
def test_what_takes_a_reason_or_an_administrator_is_on_record(route: APIRoute) -> None:
    guarded = let_in_administrator in calls(route.dependant) or "reason" in asked_of(route)
    file_of_a_job = route.path.endswith("/file")
    assert is_on_record(route.endpoint) == (guarded or file_of_a_job)
