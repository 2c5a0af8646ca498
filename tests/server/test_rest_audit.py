"""The audit over REST: read, verified and downloaded, and that is on record too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.audit.chain import Chain, records
from server.audit.record import Event, Outcome, Subject
from tests.server.conftest import StartServer
from tests.server.people import People

VIEWS = 12


@pytest.fixture
async def http(start_server: StartServer, people: People) -> AsyncIterator[httpx.AsyncClient]:
    """Asks a server with an audit of a few views as the admin anna."""
    chain = Chain(folder_of(people), segment_bytes=1500)
    for number in range(VIEWS):
        chain.append(
            Event(
                subject=Subject.HUMAN_VIEW,
                outcome=Outcome.REFUSED if number % 4 else Outcome.DELIVERED,
                principal="otto",
                camera="gate" if number % 2 else "yard",
                frame=f"1-{number + 1}",
                reason=f"because of {number} «lost» things",
            )
        )
    async with start_server(
        access_file=people.file.path, audit_looks_per_minute=30, audit_segment_bytes=1500
    ) as server:
        transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://camera-server", headers=people.header("anna")
        ) as opened:
            yield opened


def folder_of(people: People) -> Path:
    return people.file.path.parent / "audit"


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def test_records_are_listed_page_by_page(http: httpx.AsyncClient) -> None:
    found, address = [], "/v1/audit?camera=gate&limit=4"
    while address:
        page = (await http.get(address)).json()
        found += page["records"]
        address = page["next"]
    assert [record["frame"] for record in found] == ["1-12", "1-10", "1-8", "1-6", "1-4", "1-2"]
    assert found[0]["reason"] == "because of 11 «lost» things"
    assert {record["principal"] for record in found} == {"otto"}
    assert page["unreadable"] == 0


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"principal": "otto"}, VIEWS),
        ({"principal": "nobody"}, 0),
        ({"subject": "human_view", "outcome": "delivered"}, 3),
        ({"subject": "human_view", "to": "2020-01-01T00:00:00Z"}, 0),
        ({"subject": "human_view", "from": "2020-01-01T00:00:00Z"}, VIEWS),
    ],
)
async def test_records_are_filtered(http: httpx.AsyncClient, query: dict[str, str], count: int) -> None:
    assert len((await http.get("/v1/audit", params=query)).json()["records"]) == count


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ({"cursor": "of my own"}, "invalid-cursor"),
        ({"subject": "gossip"}, "invalid-request"),
        ({"from": "yesterday"}, "invalid-request"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "invalid-range"),
        ({"limit": "5000"}, "invalid-request"),
    ],
)
async def test_questions_that_make_no_sense(
    http: httpx.AsyncClient, query: dict[str, str], slug: str
) -> None:
    assert problem(await http.get("/v1/audit", params=query)) == (422, slug)


async def test_who_looks_at_the_audit_is_in_it(http: httpx.AsyncClient, people: People) -> None:
    await http.get("/v1/audit", params={"camera": "gate"})
    await http.get("/v1/audit/verification")
    export = await http.get("/v1/audit/export", params={"principal": "otto"})
    refused = await http.get("/v1/audit", headers=people.header("otto"))
    assert problem(refused) == (403, "forbidden")
    told = [
        (record.event.principal, record.event.outcome, record.event.detail)
        for record in records(folder_of(people))
        if record.event.subject is Subject.AUDIT
    ]
    assert told[:3] == [
        ("anna", "done", "looked at camera gate"),
        ("anna", "done", "verified the chain"),
        ("anna", "asked", "export of principal otto"),
    ]
    assert told[3] == ("anna", "delivered", f"{VIEWS} records, whole")
    assert told[4][:2] == ("otto", "refused")

    assert export.headers["content-type"].startswith("application/x-ndjson")
    assert "attachment" in export.headers["content-disposition"]
    lines = [json.loads(line) for line in export.text.splitlines()]
    assert (
        lines
        == [record.fields() for record in records(folder_of(people)) if record.event.principal == "otto"][
            :VIEWS
        ]
    )


async def test_without_an_audit_it_is_not_shown(http: httpx.AsyncClient, people: People) -> None:
    folder = folder_of(people)
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("no folder can be made here")
    for address in ("/v1/audit", "/v1/audit/verification", "/v1/audit/export"):
        assert problem(await http.get(address)) == (503, "audit-unavailable")


async def test_a_changed_audit_is_told(http: httpx.AsyncClient, people: People) -> None:
    sound = (await http.get("/v1/audit/verification")).json()
    assert (sound["intact"], sound["first"], sound["faults"]) == (True, 1, [])
    assert sound["records"] == VIEWS + 1 == sound["last"]["sequence"]
    oldest = next(records(folder_of(people)))
    assert sound["since"][:19] == oldest.at[:19]


async def test_a_changed_record_is_told(http: httpx.AsyncClient, people: People) -> None:
    segment = min(folder_of(people).glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b'"otto"', b'"vera"', 1))
    found = (await http.get("/v1/audit/verification")).json()
    assert found["intact"] is False
    assert "hash" in found["faults"][0]
    assert (await http.get("/v1/audit?limit=500")).json()["unreadable"] == 1


async def test_looks_are_limited(http: httpx.AsyncClient) -> None:
    for _ in range(30):
        assert (await http.get("/v1/audit?limit=1")).status_code == 200
    assert problem(await http.get("/v1/audit")) == (429, "too-many-requests")


async def test_on_the_loopback_the_audit_can_be_read_too(start_server: StartServer) -> None:
    async with start_server() as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            (own,) = (await http.get("/v1/audit")).json()["records"]
    assert (own["principal"], own["subject"], own["outcome"]) == ("loopback", "audit", "done")
