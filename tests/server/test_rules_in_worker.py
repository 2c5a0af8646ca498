"""Rules of a camera, from its file to the results that subscribers get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server.errors import RulesError
from server.watch.rules import CameraRules, Retention, Zone
from server.watch.rules_store import RulesStore
from shared_models import Codec, EncodedFrame
from tests.server.conftest import CONFIG, StartServer
from tests.server.crew import Crew, crew_on
from tests.server.harness import SquareSpotter, edge_stream, recognised, results_in, until

Encoded = list[EncodedFrame]

RULES = """
cameras:
  front-door:
    labels: [square]
    track: true
    zones:
      left: {polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], alert: true}
      right: {polygon: [[0.6, 0], [1, 0], [1, 1], [0.6, 1]]}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


async def test_results_carry_zones_tracks_events_and_alerts(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, rules: Path
) -> None:
    async with (
        start_server(SquareSpotter(), rules=rules) as server,
        edge_stream(server, codec) as edge,
        edge_stream(server, codec, "garden") as garden,
    ):
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[sequence])
        await garden.hello()
        await garden.send(1, encoded[1])
        await recognised(client, 3)
        await recognised(client, 1, "garden")
        first, second, third = (await results_in(client)).values()
    # Nobody can tell a thing from a flicker by one frame.
    assert [(seen.label, seen.track) for seen in first.detections] == [("square", "")]
    ((square,), (event,)) = second.detections, second.events
    assert (square.track, list(square.zones)) == ("1-2-0", ["left"])
    assert (event.kind, event.track, event.alert) == (analytics_pb2.EVENT_KIND_NEW, "1-2-0", True)
    assert list(event.detection.zones) == ["left"]
    assert (first.alert, second.alert, third.alert) == (False, True, False)
    assert ([seen.track for seen in third.detections], list(third.events)) == (["1-2-0"], [])
    (elsewhere,) = (await results_in(client, "garden")).values()
    assert [(seen.label, seen.track) for seen in elsewhere.detections] == [("square", ""), ("shadow", "")]


async def test_the_layer_of_an_alert_lives_longer(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, rules: Path
) -> None:
    async with (
        start_server(SquareSpotter(), rules=rules, retain_alert=5000.0) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        for sequence in (1, 2):
            address = store_keys.enhancement("front-door", 1, sequence)
            await client.set(address, encoded[sequence].enhancement, ex=60)
            receipt = frame_pb2.EnhancementReceipt(bytes=len(encoded[sequence].enhancement), slices=5)
            await edge.send(sequence, encoded[sequence], enhancement=receipt)
        await recognised(client, 2)
    lives = [await client.ttl(store_keys.enhancement("front-door", 1, sequence)) for sequence in (1, 2)]
    assert lives[0] <= 60
    assert lives[1] > 4000


async def test_faulty_rules_keep_a_server_from_starting(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("cameras: {front-door: {zone: {}}}")
    with pytest.raises(RulesError, match=r"cameras\.front-door\.zone"):
        async with start_server(SquareSpotter(), rules=path):
            pass


async def test_stored_rules_hold_from_one_frame_to_the_next(
    store_url: str, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    store = RulesStore(client)
    tracked = CameraRules(track=True)
    async with crew_on(store_url, codec, CONFIG) as crew:
        worker = crew.start()
        for camera_id in ("gate", "yard"):
            await store.replace(camera_id, tracked, None)
            await crew.store(camera_id, range(1, 4), encoded)
            await crew.have_results([camera_id], range(1, 4))
        zone = Zone(polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)), alert=True)
        changed = CameraRules(track=True, labels=frozenset({"square"}), zones={"left": zone})
        await store.replace("gate", changed, None)
        await client.set(store_keys.rules("yard"), b"no rules")

        async def is_followed() -> bool:
            return any(lane.camera_id == "gate" and lane.rules == changed for lane in worker._lanes)

        await until(is_followed)
        for camera_id in ("gate", "yard"):
            await crew.store(camera_id, range(4, 6), encoded)
            await crew.have_results([camera_id], range(1, 6))
        gate, yard = [list((await results_in(client, camera_id)).values()) for camera_id in ("gate", "yard")]
        # The thing keeps its name in both: how it is tracked has not changed, and what cannot be changes nothing.
        for results in (gate, yard):
            assert {result.detections[0].track for result in results[1:]} == {"1-2-0"}
        assert [len(result.detections) for result in gate] == [2, 2, 2, 1, 1]
        assert [len(result.detections) for result in yard] == [2, 2, 2, 2, 2]
        assert [result.alert for result in gate] == [False, False, False, True, False]
        await store.replace("gate", CameraRules(labels=frozenset({"shadow"})), None)
        await until(lambda: _published(crew, encoded, "gate", "shadow"))


async def _published(crew: Crew, encoded: Encoded, camera_id: str, label: str) -> bool:
    """Whether one more frame's result has this label alone."""
    sequence = len(await results_in(crew.redis, camera_id)) + 1
    await crew.store(camera_id, range(sequence, sequence + 1), encoded)
    await crew.have_results([camera_id], range(1, sequence + 1))
    last = list((await results_in(crew.redis, camera_id)).values())[-1]
    return [seen.label for seen in last.detections] == [label]


async def test_every_task_follows_them(store_url: str, codec: Codec, encoded: Encoded, client: Redis) -> None:
    config = replace(CONFIG, frames_most=CONFIG.frames_kept)
    async with crew_on(store_url, codec, config) as crew:
        await RulesStore(client).replace("gate", CameraRules(labels=frozenset({"square"})), None)
        await crew.store("gate", range(1, 2), encoded)
        crew.start()
        crew.start(task="second")
        await crew.have_results(["gate"], range(1, 2))

        async def second_has() -> bool:
            return await client.xlen(store_keys.results("gate", "second")) == 1

        await until(second_has)
        for key in (store_keys.results("gate"), store_keys.results("gate", "second")):
            ((_, fields),) = await client.xrange(key)
            result = analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
            assert [seen.label for seen in result.detections] == ["square"]


@pytest.mark.parametrize(
    ("retention", "detection", "alert"),
    [
        (Retention(), 200, 5000),
        (Retention(detection_s=900), 900, 5000),
        (Retention(detection_s=900, alert_s=1800), 900, 1800),
        (Retention(alert_s=150), 150, 150),
    ],
)
async def test_layers_of_a_camera_live_as_long_as_its_rules_say(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    retention: Retention,
    detection: int,
    alert: int,
) -> None:
    await RulesStore(client).replace("front-door", CameraRules(retention=retention), None)
    async with (
        start_server(SquareSpotter(), retain_detection=200.0, retain_alert=5000.0) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        address = store_keys.enhancement("front-door", 1, 1)
        await client.set(address, encoded[1].enhancement, ex=60)
        receipt = frame_pb2.EnhancementReceipt(bytes=len(encoded[1].enhancement), slices=5)
        await edge.send(1, encoded[1], enhancement=receipt)
        await recognised(client, 1)
        assert detection - 60 < await client.ttl(address) <= detection
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.post("/v1/cameras/front-door/frames/1-1/keep")).status_code == 200
        assert alert - 60 < await client.ttl(address) <= alert
