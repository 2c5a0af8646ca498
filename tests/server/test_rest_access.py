"""REST of a server that asks who is there: every route closed, human views guarded and on record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from server.access.caller import Role
from server.access.changes import new_user
from server.audit.chain import records
from server.audit.record import Record
from server.audit.verify import verify
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import edge_stream, keep_enhancement, recognised
from tests.server.people import PASSWORD, People

FRAME = "/v1/cameras/gate/frames/1-1"
HUMAN_VIEW = f"{FRAME}/image"
ENHANCEMENT = f"{FRAME}/layers/enhancement"
HUMAN = {"view": "human"}
WHY = {**HUMAN, "reason": "a parcel is missing"}

OPEN = {"/healthz", "/readyz", "/problems/{slug}", "/v1/session"}
"""What anybody may ask, beside the page's files. Nothing else; a new route has to be closed."""

ADMINISTERED = re.compile(
    r"/v1/(users|api-keys|camera-tokens|audit|rules)(/.*)?|/v1/cameras/\{camera\}(/rules)?"
)
"""What takes an admin of all cameras, whatever the method."""

MADE = re.compile(r"/v1/(clips|exports)(/.*)?")
"""Everybody's own; what they take for human views is in tests/server/jobs/test_who_may.py."""


@pytest.fixture
async def http(
    start_server: StartServer,
    people: People,
    codec: Codec,
    encoded: list[EncodedFrame],
    client: Redis,
) -> AsyncIterator[httpx.AsyncClient]:
    """A server with frame 1-1 of the cameras gate and yard."""
    async with start_server(access_file=people.file.path, human_views_per_minute=5) as server:
        for camera_id, token in people.tokens.items():
            async with edge_stream(server, codec, camera_id, token=token) as edge:
                await edge.hello()
                await keep_enhancement(client, await edge.send(1, encoded[0]), encoded[0])
                await recognised(client, 1, camera_id)
        transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://camera-server") as opened:
            opened.server = server  # type: ignore[attr-defined]
            yield opened


def audited(people: People, *subjects: str) -> list[Record]:
    """What is on record, of these subjects."""
    folder = people.file.path.parent / "audit"
    assert verify(folder).faults == []
    return [record for record in records(folder) if record.event.subject in subjects]


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path and a concrete address of every route of an OpenAPI document."""
    names = {"camera": "gate", "frame": "1-1", "layer": "machine", "slug": "views-busy", "mark": "1-1.0"}
    names |= {"name": "otto", "prefix": "ssu_00000000", "clip": "0", "export": "0"}
    for path, methods in document["paths"].items():
        for method in methods:
            yield method.upper(), path, re.sub(r"\{(\w+)\}", lambda part: names[part[1]], path)


async def test_every_route_is_closed_but_those_listed(http: httpx.AsyncClient, people: People) -> None:
    assert problem(await http.get("/openapi.json")) == (401, "unauthenticated")
    document = (await http.get("/openapi.json", headers=people.header("vera"))).json()
    assert {path for _, path, _ in routes(document)} >= OPEN
    wrong = (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {people.keys['anna'][:-1]}"},
        {"Authorization": f"Bearer {people.tokens['gate']}"},
        {"Authorization": f"Basic {people.keys['anna']}"},
        {"Cookie": f"secondsight={people.keys['anna']}"},
    )
    for method, path, address in routes(document):
        if path in OPEN:
            continue
        for headers in wrong:
            refused = await http.request(method, address, headers=headers)
            assert problem(refused) == (401, "unauthenticated"), (method, path, headers)
            assert refused.headers["www-authenticate"] == "Bearer"
        if "{camera}" in path:
            # Whether there is such a camera is nothing for those that may not see it.
            for camera in ("gate", "no-such"):
                elsewhere = address.replace("gate", camera)
                refused = await http.request(method, elsewhere, headers=people.header("yuri"))
                assert problem(refused) == (403, "forbidden"), (method, path)


async def test_what_takes_an_operator_is_closed_to_viewers(http: httpx.AsyncClient, people: People) -> None:
    document = (await http.get("/openapi.json", headers=people.header("vera"))).json()
    for method, path, _ in routes(document):
        changes = method not in ("GET", "HEAD") and path not in OPEN and not ADMINISTERED.fullmatch(path)
        changes = changes and not MADE.fullmatch(path)
        guarded = "reason" in [
            given["name"] for given in document["paths"][path][method.lower()].get("parameters", ())
        ]
        assert guarded or not changes, f"{method} {path} changes something without a reason"
    for address in (HUMAN_VIEW, ENHANCEMENT):
        assert problem(await http.get(address, params=WHY, headers=people.header("vera"))) == (
            403,
            "forbidden",
        )
    keep = await http.post(f"{FRAME}/keep", params=WHY, headers=people.header("vera"))
    assert problem(keep) == (403, "forbidden")
    for address in ("/v1/cameras", FRAME, f"{FRAME}/image", f"{FRAME}/layers/machine", "/metrics"):
        assert (await http.get(address, headers=people.header("vera"))).status_code == 200, address
    refused = audited(people, "human_view", "enhancement_layer", "keep")
    assert [record.event.outcome for record in refused] == ["refused"] * 3
    assert {record.event.principal for record in refused} == {"vera"}


async def test_what_takes_an_admin_is_closed_to_operators(http: httpx.AsyncClient, people: People) -> None:
    document = (await http.get("/openapi.json", headers=people.header("vera"))).json()
    asked = 0
    for method, path, address in routes(document):
        if not ADMINISTERED.fullmatch(path):
            continue
        asked += 1
        for name in ("vera", "otto", "yuri"):
            refused = await http.request(method, address, headers=people.header(name))
            assert problem(refused) == (403, "forbidden"), (method, path, name)
        if method == "GET":
            shown = await http.get(address, headers=people.header("anna"))
            assert shown.status_code == 200, (path, shown.text)
    assert asked >= 12
    refused_first, *_ = audited(people, "access")
    assert (refused_first.event.outcome, refused_first.event.principal) == ("refused", "vera")


async def test_what_tells_of_cameras_tells_of_those_that_one_may_see(
    http: httpx.AsyncClient, people: People
) -> None:
    for name, cameras in (("vera", ["gate", "yard"]), ("yuri", ["yard"])):
        listed = (await http.get("/v1/cameras", headers=people.header(name))).json()["cameras"]
        assert [camera["camera"] for camera in listed] == cameras
    assert problem(await http.get("/metrics", headers=people.header("yuri"))) == (403, "forbidden")


async def test_a_human_view_takes_a_reason_and_is_on_record_before_and_after(
    http: httpx.AsyncClient, people: People
) -> None:
    otto = people.header("otto")
    for reason in (None, "", "   ", "x" * 501, "two\nlines", "hidden \u202e order"):
        params = {} if reason is None else {"reason": reason}
        refused = await http.get(HUMAN_VIEW, params={**HUMAN, **params}, headers=otto)
        assert problem(refused) == (422, "reason-required")
    shown = await http.get(HUMAN_VIEW, params=HUMAN, headers={**otto, "Secondsight-Reason": "Grüße".encode()})
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "private, no-cache"
    again = await http.get(HUMAN_VIEW, params=WHY, headers={**otto, "If-None-Match": shown.headers["etag"]})
    assert again.status_code == 304
    layer = await http.get(ENHANCEMENT, params=WHY, headers=otto)
    assert layer.status_code == 200

    *refusals, asked, delivered, asked_again, not_sent, layer_asked, layer_delivered = audited(
        people, "human_view", "enhancement_layer"
    )
    assert {record.event.outcome for record in refusals} == {"refused"}
    assert len(refusals) == 6
    told = asked.event
    assert (told.principal, told.role, told.via) == ("otto", "operator", people.keys["otto"][:12])
    assert (told.camera, told.frame, told.view, told.reason) == ("gate", "1-1", "human", "Grüße")
    assert (told.address, told.request) == ("192.0.2.7", shown.headers["secondsight-request"])
    assert (delivered.event.outcome, delivered.event.request) == ("delivered", told.request)
    assert f"{len(shown.content)} bytes" in delivered.event.detail
    assert asked_again.event.reason == WHY["reason"]
    assert "status 304" in not_sent.event.detail
    assert [record.event.subject for record in (layer_asked, layer_delivered)] == ["enhancement_layer"] * 2


async def test_a_second_look_costs_no_decoding_and_is_on_record_too(
    http: httpx.AsyncClient, people: People, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    otto = people.header("otto")
    first = await http.get(HUMAN_VIEW, params=WHY, headers=otto)
    monkeypatch.setattr(codec, "decode_human", None)
    second = await http.get(HUMAN_VIEW, params={**HUMAN, "reason": "a second look"}, headers=otto)
    assert (second.status_code, second.content) == (200, first.content)
    told = [(record.event.outcome, record.event.reason) for record in audited(people, "human_view")]
    assert told == [
        ("asked", WHY["reason"]),
        ("delivered", WHY["reason"]),
        ("asked", "a second look"),
        ("delivered", "a second look"),
    ]


async def test_who_is_not_even_let_in_is_on_record_as_long_as_that_fills_no_disk(
    http: httpx.AsyncClient, people: People
) -> None:
    for headers in ({}, people.header("yuri")):
        assert (await http.get(HUMAN_VIEW, params=WHY, headers=headers)).status_code in (401, 403)
        assert (await http.get(ENHANCEMENT, headers=headers)).status_code in (401, 403)
        assert (await http.post(f"{FRAME}/keep", headers=headers)).status_code in (401, 403)
        assert (await http.get(FRAME, headers=headers)).status_code in (401, 403)
    subjects = ("human_view", "enhancement_layer", "keep")
    told = audited(people, *subjects)
    assert [record.event.subject for record in told] == [*subjects, *subjects]
    assert [record.event.principal for record in told] == ["", "", "", "yuri", "yuri", "yuri"]
    assert {(record.event.camera, record.event.address) for record in told} == {("gate", "192.0.2.7")}
    for _ in range(20):
        await http.get(HUMAN_VIEW, params=WHY)
    assert len(audited(people, *subjects)) == 10


async def test_what_fails_is_on_record(http: httpx.AsyncClient, people: People) -> None:
    missing = await http.get("/v1/cameras/gate/frames/9-9/image", params=WHY, headers=people.header("otto"))
    assert problem(missing) == (404, "unknown-frame")
    asked, failed = audited(people, "human_view")
    assert (asked.event.outcome, failed.event.outcome) == ("asked", "failed")
    assert "9-9" in failed.event.detail
    assert asked.event.request == failed.event.request


async def test_human_views_are_limited_for_each_user(http: httpx.AsyncClient, people: People) -> None:
    params = WHY
    for _ in range(5):
        assert (await http.get(HUMAN_VIEW, params=params, headers=people.header("otto"))).status_code == 200
    limited = await http.get(HUMAN_VIEW, params=params, headers=people.header("otto"))
    assert problem(limited) == (429, "too-many-requests")
    assert 1 <= int(limited.headers["retry-after"]) <= 60
    assert (await http.get(HUMAN_VIEW, params=params, headers=people.header("anna"))).status_code == 200
    assert audited(people, "human_view")[-3].event.outcome == "refused"


async def test_without_an_audit_nobody_sees_people_and_machine_views_go_on(
    http: httpx.AsyncClient, people: People
) -> None:
    folder = people.file.path.parent / "audit"
    folder.write_text("no folder can be made here")
    for address in (HUMAN_VIEW, ENHANCEMENT):
        refused = await http.get(address, params=WHY, headers=people.header("otto"))
        assert problem(refused) == (503, "audit-unavailable")
    login = await http.post("/v1/session", json={"name": "vera", "password": PASSWORD})
    assert problem(login) == (503, "audit-unavailable")
    assert (await http.get(f"{FRAME}/image", headers=people.header("vera"))).status_code == 200


async def test_a_session_by_cookie(http: httpx.AsyncClient, people: People) -> None:
    assert (await http.get("/v1/session")).json() == {"asks": True, "person": None, "reason_characters": 500}
    wrong = await http.post("/v1/session", json={"name": "otto", "password": "not this one"})
    assert problem(wrong) == (401, "login-failed")
    stranger = await http.post("/v1/session", json={"name": PASSWORD, "password": "in the wrong field"})
    assert problem(stranger) == (401, "login-failed")
    login = await http.post("/v1/session", json={"name": "otto", "password": PASSWORD})
    assert login.json()["person"] == {"name": "otto", "role": "operator", "human_views": True}
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert (await http.get("/v1/cameras")).status_code == 200
    shown = await http.get(HUMAN_VIEW, params=WHY)
    assert shown.status_code == 200

    assert (await http.delete("/v1/session", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 204
    assert problem(await http.get("/v1/cameras", headers={"Cookie": cookie.partition(";")[0]})) == (
        401,
        "unauthenticated",
    )
    told = [(record.event.outcome, record.event.principal) for record in audited(people, "login", "logout")]
    assert told == [("refused", "otto"), ("refused", ""), ("done", "otto"), ("done", "otto")]
    assert PASSWORD not in "".join(
        path.read_text() for path in (people.file.path.parent / "audit").glob("*.jsonl")
    )


async def test_over_tls_the_cookie_goes_over_tls_alone(http: httpx.AsyncClient) -> None:
    login = await http.post("https://camera-server/v1/session", json={"name": "otto", "password": PASSWORD})
    assert login.headers["set-cookie"].startswith("__Host-secondsight=")
    assert "Secure" in login.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    login = {"name": "otto", "password": PASSWORD}
    if headers:
        assert problem(await http.post("/v1/session", json=login, headers=headers)) == (403, "cross-site")
    assert (await http.post("/v1/session", json=login)).status_code == 200
    for method, address in (("POST", f"{FRAME}/keep"), ("DELETE", "/v1/session")):
        refused = await http.request(method, address, params=WHY, headers=headers)
        assert problem(refused) == (403, "cross-site")
    assert (await http.get("/v1/cameras")).status_code == 200
    kept = await http.post(f"{FRAME}/keep", params=WHY, headers={"Origin": "http://camera-server"})
    assert kept.status_code == 200, kept.text


async def test_a_one_time_password_has_to_be_exchanged(http: httpx.AsyncClient, people: People) -> None:
    people.file.change(
        lambda register: register.with_user("nora", new_user(Role.VIEWER, None, "once-and-never-again"))
    )
    login = {"name": "nora", "password": "once-and-never-again"}
    assert problem(await http.post("/v1/session", json=login)) == (403, "password-change-required")
    weak = await http.post("/v1/session", json={**login, "new_password": "short"})
    assert problem(weak) == (422, "weak-password")
    assert (await http.post("/v1/session", json={**login, "new_password": PASSWORD})).status_code == 200


async def test_logins_are_limited(start_server: StartServer, people: People) -> None:
    async with start_server(access_file=people.file.path, logins_per_minute=2) as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://camera-server") as http:
            login = {"name": "otto", "password": "not this one"}
            for _ in range(2):
                assert problem(await http.post("/v1/session", json=login)) == (401, "login-failed")
            limited = await http.post("/v1/session", json=login)
            assert problem(limited) == (429, "too-many-requests")
            assert limited.headers["retry-after"]


async def test_what_is_longer_than_anything_asked_for_is_refused(
    http: httpx.AsyncClient, people: People
) -> None:
    anna = people.header("anna")
    assert (await http.get("/v1/cameras", params={"x": "y" * 5000}, headers=anna)).status_code == 414
    assert (await http.get("/v1/cameras", headers={**anna, "X": "y" * 20_000})).status_code == 431
    assert (await http.post("/v1/session", content=b"x" * 70_000)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1000

    refused = await http.post("/v1/session", content=pieces())
    assert refused.status_code == 413
    assert "at most 65536 bytes" in refused.json()["detail"]


async def test_no_secret_is_in_what_is_told(
    http: httpx.AsyncClient, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = people.keys["anna"][13:]
    answers = [
        await http.get("/v1/cameras", headers={"Authorization": f"Bearer {people.keys['anna']}x"}),
        await http.post("/v1/session", json={"name": "anna", "password": PASSWORD, "new_password": 7}),
        await http.post("/v1/session", json={"name": "anna", "password": secret}),
    ]
    for answer in answers:
        assert answer.status_code in (401, 422)
        assert secret not in answer.text and PASSWORD not in answer.text
    assert secret not in caplog.text and PASSWORD not in caplog.text


async def test_on_the_loopback_nobody_is_asked_and_human_views_are_on_record(
    start_server: StartServer, tmp_path: Path
) -> None:
    async with start_server() as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
            session = (await http.get("/v1/session")).json()
            assert (session["asks"], session["person"]["name"]) == (False, "loopback")
            assert (await http.get(HUMAN_VIEW, params=HUMAN)).status_code == 404
            # A name of another site that was made to point here, and another site's page.
            for address, headers in (
                ("/v1/cameras", {"Host": "evil.example"}),
                ("/openapi.json", {"Host": "10.0.0.1"}),
            ):
                assert problem(await http.get(address, headers=headers)) == (421, "unknown-host")
            for method, address in (("GET", HUMAN_VIEW), ("POST", f"{FRAME}/keep")):
                refused = await http.request(method, address, headers={"Sec-Fetch-Site": "cross-site"})
                assert problem(refused) == (403, "cross-site")
    told = [(record.event.principal, record.event.outcome) for record in records(tmp_path / "audit")]
    assert told == [("loopback", "asked"), ("loopback", "failed")]


async def test_a_human_view_whose_bytes_cannot_be_sent_is_on_record(
    http: httpx.AsyncClient, people: People
) -> None:
    app = http.server.app  # type: ignore[attr-defined]
    scope = {
        "type": "http",
        "method": "GET",
        "path": HUMAN_VIEW,
        "raw_path": HUMAN_VIEW.encode(),
        "query_string": b"view=human&reason=why",
        "headers": [
            (b"host", b"camera-server"),
            (b"authorization", f"Bearer {people.keys['otto']}".encode()),
        ],
        "scheme": "http",
        "server": ("camera-server", 80),
        "client": ("192.0.2.9", 4000),
        "root_path": "",
        "http_version": "1.1",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        # Written down before the first byte leaves.
        assert [record.event.outcome for record in audited(people, "human_view")] == ["asked"]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await app(scope, receive, send)
    assert [record.event.outcome for record in audited(people, "human_view")] == ["asked", "failed"]
