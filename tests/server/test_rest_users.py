"""Users, API keys and camera tokens over REST."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from server.access.access import Access
from server.access.caller import Role
from server.access.changes import key_issued, make, new_user, user_changed
from server.audit.chain import records
from server.audit.record import Event, Outcome, Record, Subject
from server.audit.verify import verify
from server.config import ServerConfig
from tests.server.conftest import StartServer
from tests.server.people import PASSWORD, People

AT_A_TERMINAL = """
import sys
from server.access.command import app
for number in range(6):
    app(["user", "add", f"hand-{number}", "--data", sys.argv[1]], standalone_mode=False)
"""


@pytest.fixture
async def http(start_server: StartServer, people: People) -> AsyncIterator[httpx.AsyncClient]:
    """Asks a server as the admin anna."""
    async with start_server(access_file=people.file.path, credentials_per_minute=6) as server:
        transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://camera-server", headers=people.header("anna")
        ) as opened:
            yield opened


def audited(people: People) -> list[Record]:
    folder = people.file.path.parent / "audit"
    assert verify(folder).faults == []
    return [record for record in records(folder) if record.event.subject is Subject.ACCESS]


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def test_a_user_from_beginning_to_end(http: httpx.AsyncClient, people: People) -> None:
    created = await http.post("/v1/users", json={"name": "nora", "role": "operator", "cameras": ["gate"]})
    assert (created.status_code, created.headers["location"]) == (201, "/v1/users/nora")
    assert created.headers["cache-control"] == "no-store"
    first = created.json()["one_time_password"]
    assert created.json()["user"]["password"] == "one_time"
    login = {"name": "nora", "password": first, "new_password": PASSWORD}
    async with httpx.AsyncClient(transport=http._transport, base_url="http://camera-server") as browser:
        session = await browser.post("/v1/session", json=login)
        assert session.json()["person"]["role"] == "operator"
        assert (await browser.get("/v1/cameras/yard/frames")).status_code == 403
        assert problem(await browser.get("/v1/users")) == (403, "forbidden")

        changed = await http.patch("/v1/users/nora", json={"role": "admin", "cameras": None})
        assert (changed.status_code, changed.json()["password"]) == (200, "own")
        assert (await browser.get("/v1/users")).status_code == 200
        await http.patch("/v1/users/nora", json={"disabled": True})
        assert problem(await browser.get("/v1/users")) == (401, "unauthenticated")
        assert problem(await browser.post("/v1/session", json={**login, "password": PASSWORD})) == (
            401,
            "login-failed",
        )
        await http.patch("/v1/users/nora", json={"disabled": False})
        again = (await http.post("/v1/users/nora/password")).json()["one_time_password"]
        assert again != first
        refused = await browser.post("/v1/session", json={"name": "nora", "password": PASSWORD})
        assert problem(refused) == (401, "login-failed")
        shown = await browser.post("/v1/session", json={**login, "password": again})
        assert shown.status_code == 200
    assert (await http.delete("/v1/users/nora")).status_code == 204
    assert problem(await http.get("/v1/users/nora")) == (404, "unknown-user")

    told = audited(people)
    assert {(record.event.principal, record.event.role) for record in told} == {
        ("anna", "admin"),
        ("nora", "operator"),
        ("", ""),
    }
    assert [record.event.detail for record in told if record.event.outcome is Outcome.DONE] == [
        "user nora added as operator, cameras gate",
        "user nora: cameras all; role admin",
        "user nora: disabled",
        "user nora: enabled",
        "user nora got a one-time password",
        "user nora removed",
    ]
    written = "".join(path.read_text() for path in (people.file.path.parent / "audit").glob("*.jsonl"))
    for secret in (first, again, PASSWORD):
        assert secret not in written and secret not in people.file.path.read_text()


async def test_an_admin_is_always_left(http: httpx.AsyncClient, people: People) -> None:
    before = people.file.path.read_bytes()
    for change in ({"role": "operator"}, {"disabled": True}):
        assert problem(await http.patch("/v1/users/anna", json=change)) == (409, "last-admin")
    assert problem(await http.delete("/v1/users/anna")) == (409, "last-admin")
    assert people.file.path.read_bytes() == before
    assert {record.event.outcome for record in audited(people)} == {Outcome.REFUSED}

    assert (await http.patch("/v1/users/otto", json={"role": "admin"})).status_code == 200
    assert (await http.patch("/v1/users/anna", json={"role": "viewer"})).status_code == 200
    assert problem(await http.get("/v1/users")) == (403, "forbidden")


async def test_keys_and_tokens_are_shown_once(http: httpx.AsyncClient, people: People) -> None:
    key = (await http.post("/v1/api-keys", json={"user": "vera"})).json()
    token = (await http.post("/v1/camera-tokens", json={"camera": "barn"})).json()
    vera = {"Authorization": f"Bearer {key['key']}"}
    assert (await http.get("/v1/cameras", headers=vera)).status_code == 200
    keys, tokens = await http.get("/v1/api-keys"), await http.get("/v1/camera-tokens")
    assert key["prefix"] in [each["prefix"] for each in keys.json()["keys"] if each["user"] == "vera"]
    assert {each["camera"] for each in tokens.json()["tokens"]} == {"gate", "yard", "barn"}
    users = await http.get("/v1/users")
    for answer in (keys, tokens, users):
        assert key["key"] not in answer.text and token["token"] not in answer.text
        assert people.file.read().users["anna"].password not in answer.text
    running = Access(ServerConfig(access_file=people.file.path))
    assert running.camera(token["token"]) is not None

    assert (await http.delete(f"/v1/api-keys/{key['prefix']}")).status_code == 204
    assert (await http.delete(f"/v1/camera-tokens/{token['prefix']}")).status_code == 204
    assert problem(await http.get("/v1/cameras", headers=vera)) == (401, "unauthenticated")
    assert running.camera(token["token"]) is None
    for address in (f"/v1/api-keys/{key['prefix']}", f"/v1/camera-tokens/{token['prefix']}"):
        assert problem(await http.delete(address)) == (404, "unknown-credential")
    assert audited(people)[1].event.camera == "barn"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "otto"}, (409, "user-exists")),
        ({"name": "a b"}, (422, "invalid-request")),
        ({"name": "nora", "role": "king"}, (422, "invalid-request")),
        ({"name": "nora", "cameras": ["../gate"]}, (422, "invalid-request")),
        ({"name": "nora", "role": "admin", "cameras": ["gate"]}, (422, "invalid-user")),
        ({"name": "nora", "password": "of my choice"}, (422, "invalid-request")),
    ],
)
async def test_users_that_cannot_be(
    http: httpx.AsyncClient, people: People, body: dict[str, object], expected: tuple[int, str]
) -> None:
    before = people.file.path.read_bytes()
    assert problem(await http.post("/v1/users", json=body)) == expected
    assert people.file.path.read_bytes() == before


async def test_changes_of_nothing_and_of_nobody(http: httpx.AsyncClient) -> None:
    assert problem(await http.patch("/v1/users/otto", json={})) == (422, "invalid-request")
    assert problem(await http.patch("/v1/users/nobody", json={"role": "viewer"})) == (404, "unknown-user")
    assert problem(await http.delete("/v1/users/nobody")) == (404, "unknown-user")
    assert problem(await http.post("/v1/users/nobody/password")) == (404, "unknown-user")
    assert problem(await http.post("/v1/api-keys", json={"user": "nobody"})) == (404, "unknown-user")


async def test_nothing_is_overwritten_that_was_changed_at_a_terminal(
    http: httpx.AsyncClient, people: People, start_server: StartServer
) -> None:
    seen = await http.get("/v1/users/otto")
    by_hand = Event(subject=Subject.ACCESS, outcome=Outcome.DONE)
    issued, key = key_issued("otto")
    make(issued, people.file, lambda _: None, by_hand)
    stale = {"If-Match": seen.headers["etag"]}
    assert problem(await http.patch("/v1/users/otto", json={"role": "viewer"}, headers=stale)) == (
        412,
        "changed-meanwhile",
    )
    assert problem(await http.delete("/v1/users/otto", headers=stale)) == (412, "changed-meanwhile")
    # What is not asked for stays as it is by now.
    changed = await http.patch("/v1/users/otto", json={"cameras": ["gate"]})
    assert key.prefix in [each["prefix"] for each in changed.json()["keys"]]
    make(user_changed("otto", {"role": Role.VIEWER}), people.file, lambda _: None, by_hand)
    assert (await http.get("/v1/users/otto")).json()["role"] == "viewer"

    async with start_server(access_file=people.file.path) as other:
        transport = httpx.ASGITransport(app=other.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://other-server") as elsewhere:
            await http.patch("/v1/users/vera", json={"disabled": True})
            refused = await elsewhere.get("/v1/cameras", headers=people.header("vera"))
            assert problem(refused) == (401, "unauthenticated")


async def test_without_an_audit_nothing_is_changed(http: httpx.AsyncClient, people: People) -> None:
    (people.file.path.parent / "audit").write_text("no folder can be made here")
    before = people.file.path.read_bytes()
    for method, address, body in (
        ("POST", "/v1/users", {"name": "nora"}),
        ("PATCH", "/v1/users/otto", {"role": "admin"}),
        ("DELETE", "/v1/users/otto", None),
        ("POST", "/v1/camera-tokens", {"camera": "barn"}),
        ("POST", "/v1/api-keys", {"user": "otto"}),
    ):
        refused = await http.request(method, address, json=body)
        assert problem(refused) == (503, "audit-unavailable"), (method, address)
    assert people.file.path.read_bytes() == before


async def test_a_change_that_cannot_be_kept_is_on_record_as_such(
    http: httpx.AsyncClient, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("server.access.access_file.write_private", full)
        assert problem(await http.delete("/v1/users/otto")) == (503, "access-file")
    outcomes = [record.event.outcome for record in audited(people)]
    assert outcomes == [Outcome.DONE, Outcome.FAILED]
    assert (await http.get("/v1/users/otto")).status_code == 200


async def test_secrets_are_made_at_a_bounded_pace(http: httpx.AsyncClient) -> None:
    for _ in range(6):
        assert (await http.post("/v1/camera-tokens", json={"camera": "barn"})).status_code == 201
    for address, body in (
        ("/v1/camera-tokens", {"camera": "barn"}),
        ("/v1/api-keys", {"user": "vera"}),
        ("/v1/users", {"name": "nora"}),
        ("/v1/users/vera/password", None),
    ):
        limited = await http.post(address, json=body)
        assert problem(limited) == (429, "too-many-requests")
        assert limited.headers["retry-after"]


async def test_an_admin_of_some_cameras_administers_nothing(http: httpx.AsyncClient, people: People) -> None:
    # Kept so by a version that allowed it.
    people.file.change(
        lambda register: register.with_user(
            "yuri", register.users["yuri"].model_copy(update={"role": Role.ADMIN})
        )
    )
    assert problem(await http.get("/v1/users", headers=people.header("yuri"))) == (403, "forbidden")
    assert problem(await http.delete("/v1/users/anna", headers=people.header("yuri"))) == (403, "forbidden")
    assert problem(await http.delete("/v1/users/anna")) == (409, "last-admin")


async def test_a_one_time_password_that_was_not_used_is_told(http: httpx.AsyncClient, people: People) -> None:
    late = new_user(Role.VIEWER, None, PASSWORD).model_copy(
        update={"one_time_until": datetime.now(UTC) - timedelta(hours=1)}
    )
    people.file.change(lambda register: register.with_user("late", late))
    assert (await http.get("/v1/users/late")).json()["password"] == "expired"


async def test_where_nobody_is_asked_there_is_nobody_to_administer(
    start_server: StartServer, tmp_path: Path
) -> None:
    async with start_server() as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            for address in ("/v1/users", "/v1/api-keys", "/v1/camera-tokens"):
                off = await http.get(address)
                assert problem(off) == (409, "access-off")
                assert "--access FILE" in off.json()["detail"]
            off = await http.post("/v1/users", json={"name": "nora"})
            assert problem(off) == (409, "access-off")


async def test_changes_from_everywhere_at_once_are_all_kept(
    http: httpx.AsyncClient, people: People, start_server: StartServer
) -> None:
    async with start_server(access_file=people.file.path, credentials_per_minute=100) as other:
        transport = httpx.ASGITransport(app=other.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://other-server", headers=people.header("anna")
        ) as elsewhere:

            async def over_rest(number: int) -> int:
                return (await elsewhere.post("/v1/users", json={"name": f"rest-{number}"})).status_code

            at_a_terminal = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                AT_A_TERMINAL,
                str(people.file.path.parent),
                stdout=DEVNULL,
                stderr=DEVNULL,
            )
            answers = await asyncio.gather(
                *(over_rest(number) for number in range(6)),
                at_a_terminal.wait(),
                http.patch("/v1/users/vera", json={"role": "operator"}),
            )
            assert set(answers[:6]) == {201}
            assert answers[6] == 0
            names = {user["name"]: user["role"] for user in (await http.get("/v1/users")).json()["users"]}
    assert len(names) == 4 + 6 + 6
    assert names["vera"] == "operator"
    assert len(audited(people)) == 13


async def test_a_user_of_very_many_cameras_leaves_the_audit_readable(
    http: httpx.AsyncClient, people: People
) -> None:
    cameras = [f"{number:04}{'x' * 50}" for number in range(1000)]
    made = await http.post("/v1/users", json={"name": "nora", "cameras": cameras})
    assert made.status_code == 201, made.text
    assert made.json()["user"]["cameras"] == cameras
    (record,) = audited(people)
    assert record.event.detail.endswith("and 950 more")


async def test_a_file_that_has_vanished_is_not_begun_anew(http: httpx.AsyncClient, people: People) -> None:
    copy = people.file.path.rename(people.file.path.with_name("elsewhere"))
    refused = await http.post("/v1/users", json={"name": "nora"})
    assert problem(refused) == (503, "access-file")
    assert not people.file.path.exists()
    copy.rename(people.file.path)
    assert (await http.post("/v1/users", json={"name": "nora"})).status_code == 201
    assert set(people.file.read().users) == {"anna", "nora", "otto", "vera", "yuri"}
