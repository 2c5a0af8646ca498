"""The rules of both clients: what is tried again, what an error is, who asks and by what."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest

import secondsight.client
from secondsight.client import (
    AsyncClient,
    Client,
    ClientError,
    EnhancementExpiredError,
    ForbiddenError,
    IncompatibleServerError,
    InvalidRequestError,
    KeyInTheClearError,
    ReasonRequiredError,
    Retries,
    ServerFailedError,
    Settings,
    SettingsError,
    Timeouts,
    Tls,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnknownCameraError,
    UnknownFrameError,
    UnreachableError,
)
from shared_models import Codec, EncodedFrame
from tests.client.conftest import Street, settings_of
from tests.client.scripted_http import ScriptedHttp, answer, problem
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream
from tests.server.people import People

CAMERAS = answer(200, json.dumps({"cameras": []}))
QUICK = Retries(attempts=3, first_wait=0.001, patience=0.5)


async def told(*answers: bytes, retries: Retries = QUICK) -> tuple[ScriptedHttp, Exception | None]:
    """What becomes of a call, and what was asked for it."""
    async with (
        ScriptedHttp(*answers) as server,
        AsyncClient(Settings(server=server.url, retries=retries)) as client,
    ):
        try:
            await client.cameras()
        except ClientError as error:
            return server, error
    return server, None


async def test_what_may_pass_is_tried_again_as_often_as_that_is_said() -> None:
    for passing in (b"", problem(503), problem(502), problem(504), problem(429, retry_after="0")):
        server, error = await told(passing, passing, CAMERAS)
        assert error is None
        assert len(server.asked) == 3
    server, error = await told(b"", b"", b"", b"")
    assert isinstance(error, UnreachableError)
    assert len(server.asked) == 3


async def test_what_does_not_pass_is_not_tried_again() -> None:
    for answered, kind in (
        (problem(500), ServerFailedError),
        (problem(422, "invalid-request"), InvalidRequestError),
        (problem(404, "unknown-camera"), UnknownCameraError),
        (problem(418), InvalidRequestError),
    ):
        server, error = await told(answered)
        assert type(error) is kind
        assert len(server.asked) == 1


async def test_a_server_is_waited_for_as_long_as_it_asks_and_no_longer_than_is_borne() -> None:
    began = asyncio.get_running_loop().time()
    _, error = await told(problem(503, retry_after="1"), CAMERAS, retries=replace(QUICK, patience=2.0))
    assert error is None
    assert asyncio.get_running_loop().time() - began >= 1.0
    _, error = await told(problem(429, retry_after="60"))
    assert isinstance(error, TooManyRequestsError)
    assert error.problem.retry_after == 60.0
    _, error = await told(problem(503, retry_after="Fri, 31 Dec 2100 23:59:59 GMT"))
    assert isinstance(error, UnavailableError)


@pytest.mark.parametrize(
    "answered",
    [
        answer(200, "<html>"),
        answer(200, json.dumps({"cameras": [{"camera": 3}]})),
        answer(200, json.dumps(["cameras"])),
        answer(404, "<html>no</html>", content_type="text/html"),
        problem(404),
    ],
    ids=["no JSON", "another document", "a list", "no Secondsight server", "an older server"],
)
async def test_a_server_that_does_not_fit_is_told_as_that(answered: bytes) -> None:
    _, error = await told(answered)
    assert isinstance(error, IncompatibleServerError)
    assert "server" in str(error)


async def test_problems_of_a_real_server_have_their_own_errors(
    street: Street, encoded: list[EncodedFrame]
) -> None:
    async with AsyncClient(street.settings) as client:
        with pytest.raises(UnknownCameraError):
            await anext(client.frames("nowhere"))
        with pytest.raises(UnknownFrameError, match="1-99"):
            await client.frame("street", "1-99")
        with pytest.raises(SettingsError):
            await client.frame("street", "../../secrets")
        with pytest.raises(InvalidRequestError, match="slices"):
            await client.view("street", "1-1", "human", slices=9)
        # Its layer is in no store.
        await street.edge.send(7, encoded[0])
        await street.edge.ack_of(7)
        with pytest.raises(EnhancementExpiredError):
            await client.view("street", "1-7", "human")


async def test_who_asks_is_asked_and_told_what_is_missing(
    start_server: StartServer, people: People, codec: Codec, encoded: list[EncodedFrame]
) -> None:
    async with (
        start_server(SquareSpotter(), access_file=people.file.path) as server,
        edge_stream(server, codec, "gate", token=people.tokens["gate"]) as edge,
    ):
        await edge.hello()
        await edge.send(1, encoded[0])
        await edge.ack_of(1)

        def named(name: str) -> Settings:
            return settings_of(server, api_key=people.keys[name])

        async with AsyncClient(settings_of(server)) as nobody:
            with pytest.raises(UnauthenticatedError):
                await nobody.cameras()
            with pytest.raises(UnauthenticatedError):
                async with nobody.subscribe() as results:
                    await anext(results)
        async with AsyncClient(named("yuri")) as of_another_camera:
            with pytest.raises(ForbiddenError):
                await of_another_camera.frame("gate", "1-1")
            with pytest.raises(ForbiddenError):
                async with of_another_camera.subscribe(["gate"]) as results:
                    await anext(results)
        async with AsyncClient(named("vera")) as viewer:
            assert [camera.camera for camera in await viewer.cameras()] == ["gate"]
            with pytest.raises(ForbiddenError, match="operator"):
                await viewer.view("gate", "1-1", "human", reason="curious")
        async with AsyncClient(named("otto")) as operator:
            with pytest.raises(ReasonRequiredError):
                await operator.view("gate", "1-1", "human")
        assert people.keys["otto"] not in repr(named("otto"))


@pytest.mark.parametrize(
    "settings",
    [
        {"server": "ftp://centre"},
        {"server": "http://user:secret@centre"},
        {"grpc": "centre"},
        {"api_key": "two words"},
        {"timeouts": {"read": 0}},
        {"retries": {"attempts": 0}},
        {"tls": {"certificate": Path("me.pem")}},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_said_at_once(settings: dict[str, object]) -> None:
    kinds = {"timeouts": Timeouts, "retries": Retries, "tls": Tls}
    with pytest.raises(SettingsError) as error:
        Settings(
            **{name: kinds[name](**value) if name in kinds else value for name, value in settings.items()}
        )
    assert "secret" not in str(error.value) or "user" in str(error.value)


def test_a_key_goes_nowhere_in_the_clear() -> None:
    for server, grpc in (("http://centre:8080", None), ("http://127.0.0.1:8080", "centre:50051")):
        with pytest.raises(KeyInTheClearError):
            Settings(server=server, grpc=grpc, api_key="ssu_x")
    Settings(server="https://centre:8080", api_key="ssu_x")


def test_files_of_tls_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    nothing = tmp_path / "ca.pem"
    nothing.write_text("no certificate")
    for path in (nothing, tmp_path / "absent.pem"):
        with pytest.raises(SettingsError, match=path.name):
            Client(Settings(server="https://127.0.0.1:1", tls=Tls(ca=path)))


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    def methods(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(AsyncClient) == methods(Client)


def test_what_is_public_is_said_and_everything_else_is_private() -> None:
    package = secondsight.client
    assert sorted(package.__all__, key=str.lower) == sorted(set(package.__all__), key=str.lower)
    seen = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert seen == set(package.__all__)
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__doc__ or not inspect.isclass(value), name
    assert {
        name
        for name, value in vars(package).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    } <= set(package.__all__)
