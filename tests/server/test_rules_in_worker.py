"""Rules of a camera, from its file to the results that subscribers get."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server.errors import RulesError
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, recognised, results_in

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
