"""Who may have clips and exports of what, and what is on record of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from server.access.caller import Role
from server.audit.chain import records
from server.audit.record import Event
from server.audit.verify import verify
from server.process import Server
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter
from tests.server.jobs.asking import ALL, Asking, asking, filmed
from tests.server.people import People

WHY = "a parcel is missing"


@dataclass
class Guarded:
    """A server that asks who is there, with two cameras, and a client for each of its people."""

    server: Server
    people: People
    clients: dict[str, Asking]

    def __getattr__(self, name: str) -> Asking:
        return self.clients[name]

    def on_record(self, *subjects: str) -> list[Event]:
        folder = self.people.file.path.parent / "audit"
        assert verify(folder).faults == []
        return [record.event for record in records(folder) if record.event.subject in subjects]


@pytest.fixture
async def guarded(
    start_server: StartServer, people: People, codec: Codec, stream: list[GroupFrame], client: Redis
) -> AsyncIterator[Guarded]:
    async with start_server(
        SquareSpotter(), access_file=people.file.path, human_views_per_minute=5, human_views_per_hour=12
    ) as server:
        for camera_id, token in people.tokens.items():
            await filmed(server, codec, stream[:4], client, camera_id, token)
        clients = {name: asking(server, people.header(name)) for name in people.keys}
        yield Guarded(server, people, clients)
        for opened in clients.values():
            await opened.http.aclose()


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def test_a_viewer_gets_machine_views_and_nothing_else(guarded: Guarded, tmp_path: Path) -> None:
    job = await guarded.vera.ended("clips", camera="gate", reason="not kept")
    await guarded.vera.file(job, tmp_path)
    job = await guarded.vera.ended("exports", kind="layers", cameras=["gate"])
    await guarded.vera.file(job, tmp_path)
    assert not (guarded.people.file.path.parent / "audit").exists()
    human: tuple[tuple[str, dict[str, Any]], ...] = (
        ("clips", {"camera": "gate", "view": "human"}),
        ("exports", {"kind": "views", "cameras": ["gate"], "view": "human"}),
        ("exports", {"kind": "layers", "cameras": ["gate"], "view": "human"}),
        ("exports", {"kind": "marks", "cameras": ["gate"]}),
    )
    for what, order in human:
        assert problem(await guarded.vera.post(what, **order, reason=WHY)) == (403, "forbidden"), order
    refused = guarded.on_record("clip", "export")
    assert [(event.subject, event.outcome, event.principal) for event in refused] == [
        ("clip", "refused", "vera"),
        *[("export", "refused", "vera")] * 3,
    ]


async def test_human_views_are_on_record_before_during_and_after(guarded: Guarded, tmp_path: Path) -> None:
    assert problem(await guarded.otto.post("clips", camera="gate", view="human")) == (422, "reason-required")
    job = await guarded.otto.ended("clips", camera="gate", view="human", reason=f"  {WHY} ")
    await guarded.otto.file(job, tmp_path)
    refused, asked, done, fetched, delivered = guarded.on_record("clip")
    assert refused.outcome == "refused"
    period = f"{ALL['from'].replace('+00:00', '.000Z')}/"
    for event in (asked, done, fetched, delivered):
        assert (event.principal, event.role, event.camera, event.view) == (
            "otto",
            "operator",
            "gate",
            "human",
        )
        assert event.frame.startswith(period)
        assert event.reason == WHY
        assert event.address == "192.0.2.7"
    assert (asked.outcome, asked.detail) == ("asked", "4 frames")
    assert (done.outcome, done.request) == ("done", asked.request)
    assert f"4 of 4 frames, {job['bytes']} bytes" in done.detail
    assert (fetched.outcome, delivered.outcome) == ("asked", "delivered")
    assert fetched.request == delivered.request != asked.request
    assert delivered.detail == f"status 200, {job['bytes']} bytes"


async def test_each_camera_of_an_export_is_on_record(guarded: Guarded) -> None:
    await guarded.otto.ended("exports", kind="views", cameras=["yard", "gate"], view="human", reason=WHY)
    told = [(event.camera, event.outcome, event.detail) for event in guarded.on_record("export")]
    assert told[:2] == [("gate", "asked", "4 frames"), ("yard", "asked", "4 frames")]
    assert [(camera, outcome) for camera, outcome, _ in told[2:]] == [("gate", "done"), ("yard", "done")]


async def test_other_cameras_than_ones_own_are_refused(guarded: Guarded) -> None:
    orders: tuple[tuple[str, dict[str, Any]], ...] = (
        ("clips", {"camera": "gate"}),
        ("clips", {"camera": "gate", "view": "human", "reason": WHY}),
        ("clips", {"camera": "no-such"}),
        ("exports", {"kind": "results", "cameras": ["yard", "gate"]}),
        ("exports", {"kind": "marks", "cameras": ["yard", "gate"], "reason": WHY}),
    )
    for what, order in orders:
        assert problem(await guarded.yuri.post(what, **order)) == (403, "forbidden"), order
    assert [event.subject for event in guarded.on_record("clip", "export")] == ["clip", "export"]
    assert (await guarded.yuri.ended("clips", camera="yard"))["state"] == "done"


async def test_a_job_is_its_owners_and_the_admins(guarded: Guarded) -> None:
    job = await guarded.otto.ended("clips", camera="gate")
    address = job["links"]["self"]
    for asked in (
        guarded.vera.get(address),
        guarded.vera.get(f"{address}/file"),
        guarded.vera.delete(address),
    ):
        assert problem(await asked) == (404, "unknown-job")
    assert (await guarded.vera.get("/v1/clips")).json() == {"clips": []}
    for name in ("otto", "anna"):
        (listed,) = (await guarded.clients[name].get("/v1/clips")).json()["clips"]
        assert (listed["id"], listed["owner"]) == (job["id"], "otto")
        assert (await guarded.clients[name].get(f"{address}/file")).status_code == 200
    # A clip is no export.
    assert problem(await guarded.otto.get(f"/v1/exports/{job['id']}")) == (404, "unknown-job")
    assert (await guarded.anna.delete(address)).status_code == 204
    assert problem(await guarded.otto.get(address)) == (404, "unknown-job")


async def test_who_has_lost_the_right_gets_no_file_any_more(guarded: Guarded) -> None:
    human = await guarded.otto.ended("clips", camera="gate", view="human", reason=WHY)
    machine = await guarded.otto.ended("clips", camera="gate")

    def become(role: Role, cameras: tuple[str, ...] | None) -> None:
        guarded.people.file.change(
            lambda register: register.with_user(
                "otto", register.users["otto"].model_copy(update={"role": role, "cameras": cameras})
            )
        )

    become(Role.VIEWER, None)
    assert problem(await guarded.otto.get(human["links"]["file"])) == (403, "forbidden")
    assert guarded.on_record("clip")[-1].outcome == "refused"
    assert (await guarded.otto.get(machine["links"]["file"])).status_code == 200
    become(Role.OPERATOR, ("yard",))
    for job in (human, machine):
        assert problem(await guarded.otto.get(job["links"]["file"])) == (403, "forbidden")


async def test_all_frames_of_a_user_count_within_an_hour(guarded: Guarded) -> None:
    order: dict[str, Any] = {"kind": "views", "view": "human", "reason": WHY}
    await guarded.otto.ended("exports", cameras=["gate", "yard"], **order)
    await guarded.otto.ended("exports", cameras=["gate"], **order)
    limited = await guarded.otto.post("exports", cameras=["gate"], **order)
    assert problem(limited) == (429, "too-many-requests")
    assert 3000 < int(limited.headers["retry-after"]) <= 3600
    assert guarded.on_record("export")[-1].outcome == "refused"
    # Machine views are no matter, and each job is one human view of a minute's.
    assert (await guarded.otto.post("exports", kind="views", cameras=["gate"])).status_code == 202
    view = "/v1/cameras/gate/frames/1-1/image?view=human&reason=why"
    answers = [(await guarded.otto.get(view)).status_code for _ in range(3)]
    assert answers == [200, 200, 429]


async def test_without_an_audit_there_are_no_human_views(guarded: Guarded) -> None:
    order: dict[str, Any] = {"camera": "gate", "view": "human", "reason": WHY}
    job = await guarded.otto.ended("clips", **order)
    folder = guarded.people.file.path.parent / "audit"
    folder.rename(folder.parent / "away")
    folder.write_text("no folder can be made here")
    assert problem(await guarded.otto.post("clips", **order)) == (503, "audit-unavailable")
    assert problem(await guarded.otto.get(job["links"]["file"])) == (503, "audit-unavailable")
    assert (await guarded.otto.ended("clips", camera="gate"))["state"] == "done"
