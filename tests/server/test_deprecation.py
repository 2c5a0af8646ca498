"""What is to go says so in every answer, and in the description."""

from __future__ import annotations

from datetime import date

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from server.rest.deprecation import Deprecations, deprecated

OLD = deprecated(since=date(2026, 11, 1), sunset=date(2027, 6, 1), successor="/v1/new")


@pytest.fixture
def app() -> FastAPI:
    router = APIRouter(prefix="/v1")

    @router.get("/old/{name}", **OLD)
    async def old(name: str) -> dict[str, str]:
        if name == "nobody":
            raise HTTPException(404)
        return {"name": name}

    @router.get("/new")
    async def new() -> dict[str, str]:
        return {}

    app = FastAPI()
    app.include_router(router)
    app.add_middleware(Deprecations)
    return app


@pytest.mark.parametrize(("name", "status"), [("somebody", 200), ("nobody", 404)])
async def test_every_answer_of_what_is_to_go_says_since_when_until_when_and_what_instead(
    app: FastAPI, name: str, status: int
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        answer = await http.get(f"/v1/old/{name}")
        assert answer.status_code == status
        assert answer.headers["deprecation"] == "@1793491200"
        assert answer.headers["sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
        assert answer.headers["link"] == '</v1/new>; rel="successor-version"'
        for address in ("/v1/new", "/v1/nowhere"):
            assert "deprecation" not in (await http.get(address)).headers


def test_the_description_says_so_too(app: FastAPI) -> None:
    operation = app.openapi()["paths"]["/v1/old/{name}"]["get"]
    assert operation["deprecated"] is True
    assert (operation["x-sunset"], operation["x-successor"]) == ("2027-06-01", "/v1/new")
    assert "deprecated" not in app.openapi()["paths"]["/v1/new"]["get"]


def test_callers_have_half_a_year() -> None:
    with pytest.raises(ValueError, match="half a year"):
        deprecated(since=date(2026, 11, 1), sunset=date(2027, 2, 1), successor="/v1/new")
