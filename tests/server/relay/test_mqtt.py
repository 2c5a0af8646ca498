"""MQTT, with a real broker: what Home Assistant and Frigate's users find there, and a broker that goes away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml

from secondsight.certificates.authority import Authority
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, until
from tests.server.relay.conftest import StartRelay, Worker, event, seen
from tests.server.relay.receivers import MOSQUITTO_PASSWORDS, Broker, Messages, listening, needs_broker

pytestmark = needs_broker

PERSON = seen("person", 0.9, "1-1-1", "drive")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    await broker.start()
    yield broker
    await broker.stop()


def home(broker: Broker, **settings: Any) -> dict[str, Any]:
    """One broker, impatient."""
    return {"home": {"broker": f"mqtt://127.0.0.1:{broker.port}", "hold_s": 0.4, "look_s": 0.05, **settings}}


async def test_home_assistant_finds_cameras_labels_and_zones(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker
) -> None:
    async with start_server() as server, listening(broker.port) as heard:
        async with start_relay(server, mqtt=home(broker), public="https://hq.example"):
            await worker.publish(PERSON, seen("person"), seen("cell phone", 0.8))
            await heard.until("secondsight/available", "online")
            await heard.until("secondsight/gate/person", "2")
            await heard.until("secondsight/gate/drive/person", "1")
            await heard.until("secondsight/gate/cell_phone", "1")
            await heard.until("secondsight/gate/status/state", "live")
            # When nothing is seen any longer it is over, also without another result.
            await heard.until("secondsight/gate/person", "0")
            await heard.until("secondsight/gate/drive/person", "0")
        await heard.until("secondsight/available", "offline")
    found = {
        topic: json.loads(payload)
        for topic, payload in heard.last.items()
        if topic.startswith("homeassistant/")
    }
    assert sorted(topic.removeprefix("homeassistant/") for topic in found) == [
        "binary_sensor/secondsight_gate/alert/config",
        "binary_sensor/secondsight_gate/connected/config",
        "binary_sensor/secondsight_gate/occupied_cell_phone/config",
        "binary_sensor/secondsight_gate/occupied_drive_person/config",
        "binary_sensor/secondsight_gate/occupied_person/config",
        "sensor/secondsight_gate/count_cell_phone/config",
        "sensor/secondsight_gate/count_drive_person/config",
        "sensor/secondsight_gate/count_person/config",
    ]
    for topic, payload in found.items():
        # What these entities listen to is there.
        assert payload["state_topic"] in heard.last, topic
        assert all(each["topic"] in heard.last for each in payload["availability"]), topic
        assert payload["device"]["identifiers"] == ["secondsight_gate"]
        assert payload["device"]["configuration_url"] == "https://hq.example/#/cameras/gate"
    assert len({payload["unique_id"] for payload in found.values()}) == len(found)
    zone = found["homeassistant/binary_sensor/secondsight_gate/occupied_drive_person/config"]
    assert (zone["name"], zone["device_class"]) == ("Drive person", "occupancy")


async def test_states_are_kept_by_the_broker_and_discovery_comes_again_for_a_new_home_assistant(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker
) -> None:
    config = "homeassistant/sensor/secondsight_gate/count_person/config"
    async with start_server() as server, start_relay(server, mqtt=home(broker, hold_s=60)):
        async with listening(broker.port) as heard:
            await worker.publish(PERSON)
            await heard.until("secondsight/gate/person", "1")
        async with listening(broker.port) as heard:
            await heard.until("secondsight/gate/person", "1")
            await heard.until(config)
            heard.last.clear()
            async with aiomqtt.Client("127.0.0.1", broker.port) as home_assistant:
                await home_assistant.publish("homeassistant/status", "online")
            await heard.until(config)


async def test_events_in_the_words_of_frigate(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker
) -> None:
    later = seen("person", 0.95, "1-1-1", "drive", "door")
    mqtt = home(broker, prefix="frigate", labels=["person"], results=True)
    async with (
        start_server() as server,
        listening(broker.port) as heard,
        start_relay(server, mqtt=mqtt),
    ):
        await worker.publish(PERSON, events=(event("new", PERSON),))
        await worker.publish(seen("dog"), events=(event("new", seen("dog", 0.9, "1-2-2")),))
        await worker.publish(later, events=(event("update", later, alert=True),))
        await heard.until("frigate/gate/status/alert", "ON")
        await worker.publish(events=(event("end", later),))
        new, update, end = await heard.several("frigate/events", 3)
        results = await heard.several("frigate/results", 4)
        await heard.until("frigate/gate/status/alert", "OFF")
    assert [each["type"] for each in (new, update, end)] == ["new", "update", "end"]
    after = new["after"]
    assert (after["camera"], after["label"], after["box"]) == ("gate", "person", [10, 20, 110, 220])
    assert (after["current_zones"], after["end_time"], after["area"]) == (["drive"], None, 20_000)
    assert after["has_snapshot"] is False
    assert update["before"] == after
    assert update["after"]["entered_zones"] == ["drive", "door"]
    assert (update["after"]["top_score"], update["after"]["alert"]) == (0.95, True)
    assert end["before"] == update["after"]
    assert end["after"]["end_time"] >= end["after"]["start_time"]
    assert {each["after"]["id"] for each in (new, update, end)} == {"gate-1-1-1"}
    assert [len(each["detections"]) for each in results] == [1, 0, 1, 0]
    assert "frigate/gate/dog" not in heard.last


async def test_a_broker_that_goes_away_gets_what_came_meanwhile(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker, tmp_path: Path
) -> None:
    async with start_server() as server, start_relay(server, mqtt=home(broker, hold_s=60)) as relay:
        async with listening(broker.port) as heard:
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await heard.several("secondsight/events", 1)
        await broker.stop()

        async def away() -> bool:
            return "receiver" in relay.outlets[0].status.ailing

        await until(away)
        for _ in range(2):
            await worker.publish(PERSON, events=(event("update", PERSON),))
        await worker.publish(seen("dog"), events=(event("end", PERSON),))
        await broker.start()
        async with listening(broker.port) as heard:
            # Whichever came between the broker's start and this subscription is not kept by it.
            await heard.until("secondsight/gate/dog", "1")
            await heard.until("secondsight/gate/person", "1")
            await heard.until("secondsight/available", "online")

        async def saved() -> bool:
            kept = json.loads((tmp_path / "relay/home.json").read_text())
            return bool(kept["cameras"] == {"gate": "1-4"})

        await until(saved)


async def test_no_event_is_lost_while_a_broker_is_away(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker
) -> None:
    async with start_server() as server, start_relay(server, mqtt=home(broker)) as relay:
        # A session that the broker keeps while this listener, and the broker itself, are away.
        session = {"identifier": "listener", "clean_session": False}
        async with listening(broker.port, **session) as heard:
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await heard.several("secondsight/events", 1)
        await broker.stop()

        async def away() -> bool:
            return "receiver" in relay.outlets[0].status.ailing

        await until(away)
        for _ in range(5):
            await worker.publish(PERSON, events=(event("update", PERSON),))
        await broker.start()
        async with listening(broker.port, **session) as heard:

            async def all_came() -> bool:
                return len(frames_of(heard).keys() - {"1-1"}) == 5

            await until(all_came)
    # The first comes again when the broker went before it knew that the listener had it.
    assert [frame for frame in frames_of(heard) if frame != "1-1"] == [
        f"1-{number}" for number in range(2, 7)
    ]


def frames_of(heard: Messages) -> dict[str, None]:
    """Of the events, in their order."""
    return dict.fromkeys(
        json.loads(payload)["after"]["frame"] for payload in heard.of.get("secondsight/events", ())
    )


async def test_a_relay_that_is_killed_is_said_to_be_away_and_its_counts_are_taken_up(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker, tmp_path: Path
) -> None:
    async with start_server() as server:
        file = tmp_path / "relay.yaml"
        settings = {
            "server": f"http://{server.http_address}",
            "grpc": server.grpc_address,
            "listen": "127.0.0.1:0",
            "mqtt": home(broker, hold_s=60),
        }
        file.write_text(yaml.safe_dump(settings))
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("secondsight"),
            *("relay", "--config", str(file)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                ready = await process.stdout.readline()
            assert ready.startswith(b"ready targets=1 http=127.0.0.1:")
            async with listening(broker.port) as heard:
                await heard.until("secondsight/available", "online")
                await _until_seen(worker, heard)
                process.kill()
                await heard.until("secondsight/available", "offline")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        async with start_relay(server, mqtt=home(broker)), listening(broker.port) as heard:
            await heard.until("secondsight/gate/person", "0")


async def _until_seen(worker: Worker, heard: Messages) -> None:
    """Publish until the relay, whose subscription begins some time after it is ready, has a result."""

    async def there() -> bool:
        await worker.publish(PERSON)
        return heard.last.get("secondsight/gate/person") == "1"

    await until(there)


async def test_old_results_change_no_state(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, broker: Broker
) -> None:
    async with start_server() as server, listening(broker.port) as heard:
        async with start_relay(server, mqtt=home(broker, state_age_s=1e-6)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await heard.several("secondsight/events", 1)
        assert "secondsight/gate/person" not in heard.last


async def test_tls_and_a_password(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, tmp_path: Path
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    Authority(folder).make_server(["localhost"], days=1)
    assert MOSQUITTO_PASSWORDS is not None
    passwords = folder / "passwords"
    await asyncio.to_thread(
        subprocess.run,
        [MOSQUITTO_PASSWORDS, "-b", "-c", str(passwords), "relay", "open sesame"],
        check=True,
    )
    (folder / "password").write_text("open sesame\n")
    (folder / "wrong").write_text("open barley\n")
    broker = Broker(
        folder,
        f"certfile {folder}/server.pem\nkeyfile {folder}/server-key.pem\n"
        f"password_file {passwords}\nallow_anonymous false",
    )
    await broker.start()
    try:
        settings = {
            "broker": f"mqtts://localhost:{broker.port}",
            "username": "relay",
            "password_file": folder / "password",
            "ca": folder / "ca.pem",
            "look_s": 0.05,
        }
        mqtt = {
            "home": settings,
            "wrong": {**settings, "password_file": folder / "wrong"},
            "strange": {**settings, "ca": None},
        }
        async with start_server() as server, start_relay(server, wait=False, mqtt=mqtt) as relay:
            home, wrong, strange = (outlet.status for outlet in relay.outlets)

            async def told() -> bool:
                return (
                    not home.ailing
                    and "Not authorized" in wrong.ailing
                    and "CERTIFICATE_VERIFY_FAILED" in strange.ailing
                )

            await until(told)
    finally:
        await broker.stop()
