"""Dead letters are sent again when somebody says so, and are no more once they are taken."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from standardwebhooks import Webhook as Verifier
from starlette.responses import Response
from typer.testing import CliRunner

from server.relay.command import app
from server.relay.config import RelayConfig
from server.relay.dead_letters import DeadLetters
from tests.server.relay.receivers import Receiver, answering, free_port
from tests.server.relay.test_webhook import SECRET


def configured(folder: Path, hook: Receiver, **others: Receiver) -> Path:
    """A configuration whose webhooks have three dead letters each."""
    (folder / "hook.secret").write_text(SECRET)
    path = folder / "relay.yaml"
    webhooks = {}
    for name, receiver in {"hook": hook, **others}.items():
        receiver.port = free_port()
        webhooks[name] = {"url": receiver.url, "secret_files": ["hook.secret"]}
    path.write_text(yaml.safe_dump({"server": "http://127.0.0.1:1", "data": "data", "webhooks": webhooks}))
    for name in webhooks:
        dead = DeadLetters.of(RelayConfig.load(path), name)
        for number in range(3):
            document = {"specversion": "1.0", "id": f"e-{number}", "data": {"wo": "Straße"}}
            asyncio.run(dead.keep(f"e-{number}", document, "it answered 500", 8))
    return path


def letters(folder: Path) -> list[str]:
    return [json.loads(path.read_bytes())["id"] for path in sorted((folder / "data/hook.dead").iterdir())]


async def resent(config: Path, receiver: Receiver, *options: str) -> Result:
    async with receiver.serving():
        return await asyncio.to_thread(CliRunner().invoke, app, ["resend", *options, "--config", str(config)])


@pytest.mark.usefixtures("logging_as_before")
def test_what_is_taken_is_a_dead_letter_no_more(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.answer = answering(204, 422, 204)
    result = asyncio.run(resent(configured(tmp_path, receiver), receiver, "hook"))
    assert (result.exit_code, result.stdout) == (0, "hook: 2 taken, 1 refused for good\n")
    assert letters(tmp_path) == ["e-1"]
    first = receiver.requests[0]
    assert first.headers["webhook-id"] == "e-0"
    assert first.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert Verifier(SECRET).verify(first.body, first.headers)["data"] == {"wo": "Straße"}


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize(("status", "told"), [(503, "it answered 503"), (410, "gone for good")])
def test_a_receiver_that_takes_nothing_is_left_alone_and_no_letter_is_lost(
    tmp_path: Path, status: int, told: str
) -> None:
    receiver = Receiver()
    receiver.answer = answering(204, status, 204)
    result = asyncio.run(resent(configured(tmp_path, receiver), receiver, "--json"))
    (target,) = json.loads(result.stdout)["targets"]
    assert result.exit_code == 3
    assert (target["taken"], target["refused"], target["left"]) == (1, 0, 2)
    assert told in target["why"]
    assert letters(tmp_path) == ["e-1", "e-2"]
    assert len(receiver.requests) == 2


@pytest.mark.usefixtures("logging_as_before")
def test_a_slow_receiver_keeps_no_other_from_its_letters(tmp_path: Path) -> None:
    slow, quick = Receiver(), Receiver()
    config = configured(tmp_path, slow, quick=quick)

    async def run() -> Result:
        done = asyncio.Event()

        async def wait_for_the_other(_: int) -> Response:
            await done.wait()
            return Response(status_code=204)

        async def last(number: int) -> Response:
            if number == 2:
                done.set()
            return Response(status_code=204)

        slow.answer, quick.answer = wait_for_the_other, last
        async with slow.serving():
            return await resent(config, quick)

    result = asyncio.run(run())
    assert result.stdout == "hook: 3 taken, 0 refused for good\nquick: 3 taken, 0 refused for good\n"
    assert [each.headers["webhook-id"] for each in slow.requests] == ["e-0", "e-1", "e-2"]


@pytest.mark.usefixtures("logging_as_before")
def test_a_webhook_that_is_named_twice_is_sent_its_letters_once(tmp_path: Path) -> None:
    receiver = Receiver()
    result = asyncio.run(resent(configured(tmp_path, receiver), receiver, "hook", "hook"))
    assert result.stdout == "hook: 3 taken, 0 refused for good\n"
    assert len(receiver.requests) == 3


@pytest.mark.usefixtures("logging_as_before")
def test_what_is_wrong_with_the_letters_of_one_webhook_keeps_no_other_from_its_own(tmp_path: Path) -> None:
    broken, sound = Receiver(), Receiver()
    config = configured(tmp_path, broken, sound=sound)
    (tmp_path / "data/hook.dead/0.json").write_text("{}")
    result = asyncio.run(resent(config, sound))
    assert "0.json is no dead letter" in str(result.exception)
    assert len(sound.requests) == 3
    assert not list((tmp_path / "data/sound.dead").iterdir())


@pytest.mark.usefixtures("logging_as_before")
def test_a_webhook_that_is_not_there_is_a_usage_error_that_names_those_that_are(tmp_path: Path) -> None:
    config = configured(tmp_path, Receiver())
    result = CliRunner().invoke(app, ["resend", "tickets", "--config", str(config)])
    assert result.exit_code == 2
    assert "tickets" in result.stderr and "hook" in result.stderr


@pytest.mark.usefixtures("logging_as_before")
def test_a_file_that_is_no_letter_is_named(tmp_path: Path) -> None:
    receiver = Receiver()
    config = configured(tmp_path, receiver)
    (tmp_path / "data/hook.dead/0.json").write_text("{}")
    result = asyncio.run(resent(config, receiver))
    assert "0.json is no dead letter" in str(result.exception)
    assert not receiver.requests
