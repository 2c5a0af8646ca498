"""The overview: what uplinks carry by layer, what is saved, and how cameras and store do."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from secondsight.v1 import frame_pb2
from server import metrics
from server.config import ServerConfig
from server.flow import Flows
from server.overview import Overview
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, keep_enhancement, recognised, until
from tests.server.people import People
from tests.server.test_edge_report import full_spool, tell
from tests.server.test_rest import rest

Encoded = list[EncodedFrame]
AT_EDGE = {"enhancement": frame_pb2.EnhancementReceipt(place=frame_pb2.ENHANCEMENT_PLACE_EDGE)}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_steps_hold_what_came_since_the_last_look() -> None:
    flows, clock = Flows(), Clock()
    gate = flows.watch("gate").carried
    gate.store(100, 900, came_along=True)
    overview = Overview(flows, ServerConfig(overview_steps=3), clock)
    assert overview.steps() == []
    gate.store(50, 70, came_along=False)
    clock.now += 10
    overview.look()
    (step,) = overview.steps()
    assert (step.at, step.seconds) == (1010, 10)
    assert step.of(["gate"]) == type(gate)(frames=1, machine=50, stored=0, fetched=0, whole=120)
    assert step.of(["yard"]) == type(gate)()


def test_only_the_newest_steps_are_kept_and_the_last_minute_counts_them() -> None:
    flows, clock = Flows(), Clock()
    overview = Overview(flows, ServerConfig(overview_steps=9), clock)
    for _ in range(12):
        flows.watch("gate").carried.store(60, 0, came_along=False)
        clock.now += 10
        overview.look()
    assert [step.at for step in overview.steps()] == [1000 + 10 * look for look in range(4, 13)]
    carried, seconds = overview.last_minute("gate")
    assert (carried.machine, seconds) == (360, 60)


def test_a_camera_that_was_forgotten_and_came_again_counts_anew() -> None:
    flows, clock = Flows(), Clock()
    overview = Overview(flows, ServerConfig(), clock)
    for machine in (100, 30):
        flows.watch("gate").carried.store(machine, 0, came_along=False)
        overview.look()
        flows.forget("gate")
        overview.look()
    assert [step.of(["gate"]).machine for step in overview.steps()] == [100, 0, 30, 0]


async def test_the_overview_tells_of_cameras_their_sum_and_the_store(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    # What uplinks carried is counted by process, and this one has run other servers.
    for camera_id in ("front-door", "orchard"):
        metrics.FLOWS.forget(camera_id)
    async with (
        start_server(SquareSpotter(), overview_step=0.05, store_look=0.05) as server,
        edge_stream(server, codec) as edge,
        edge_stream(server, codec, "orchard") as yard,
        rest(server) as http,
    ):
        await edge.hello()
        await yard.hello()
        await keep_enhancement(client, await edge.send(1, encoded[0]), encoded[0])
        await yard.send(1, encoded[1], **AT_EDGE)
        await recognised(client, 1)
        await recognised(client, 1, "orchard")
        await tell(edge, client, full_spool("giving"))
        await http.get("/v1/cameras/front-door/frames/1-1/image?view=human")
        machine, enhancement = (
            [len(getattr(frame, layer)) for frame in encoded[:2]] for layer in ("machine", "enhancement")
        )

        async def counted() -> bool:
            told = (await http.get("/v1/overview")).json()
            return (
                min(sum(told["history"]["machine"]), told["total"]["uplink"]["machine"], told["store"]["up"])
                > 0
            )

        await until(counted)
        told = (await http.get("/v1/overview")).json()
        total, front, behind = told["total"], *told["cameras"]
        assert (front["camera"], behind["camera"]) == ("front-door", "orchard")
        assert total["cameras"] == {"live": 2, "stale": 0, "offline": 0}
        assert (
            front["saved"]["sent_bytes"] == front["saved"]["both_layers_bytes"] == machine[0] + enhancement[0]
        )
        assert behind["saved"]["sent_bytes"] == machine[1]
        assert behind["saved"]["bytes"] == enhancement[1]
        assert total["saved"]["bytes"] == enhancement[1]
        assert total["saved"]["share"] == round(enhancement[1] / sum(machine + enhancement), 4)
        assert front["uplink"]["enhancement_stored"] > 0
        assert behind["uplink"]["enhancement_stored"] == 0
        assert (front["dropped"], front["reconnects"]) == ({"spool_full": 2}, 4)
        assert (behind["dropped"], behind["reconnects"]) == (None, None)
        assert total["dropped"] == {"spool_full": 2}
        assert (front["human_views"], front["machine_views"], total["human_views"]) == (1, 0, 1)
        assert front["oldest_frame_at"] <= front["last_frame_at"]
        assert told["store"]["memory_bytes"] > 0
        assert told["retention"]["frames"] == ServerConfig().frames_kept
        history = told["history"]
        assert {len(column) for column in history.values() if isinstance(column, list)} == {
            len(history["times"])
        }
        assert history["times"] == sorted(history["times"])

        only = (await http.get("/v1/overview?camera=orchard")).json()
        assert [camera["camera"] for camera in only["cameras"]] == ["orchard"]
        assert sum(only["history"]["enhancement_stored"]) == 0


async def test_whoever_may_see_some_cameras_is_told_of_these_alone(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with (
        start_server(SquareSpotter(), access_file=people.file.path, overview_step=0.05) as server,
        rest(server) as http,
    ):
        for camera, token in people.tokens.items():
            async with edge_stream(server, codec, camera, token=token) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
                await recognised(client, 1, camera)
        metrics.FLOWS.watch("gate").carried.machine += (
            10**13
        )  # so much that it shows however long a step takes

        async def told(name: str) -> Any:
            return (await http.get("/v1/overview", headers=people.header(name))).json()

        async def all_counted() -> bool:
            return sum((await told("vera"))["history"]["machine"]) > 10**10

        await until(all_counted)
        whole, part = await told("vera"), await told("yuri")
        assert [camera["camera"] for camera in whole["cameras"]] == ["gate", "yard"]
        assert [camera["camera"] for camera in part["cameras"]] == ["yard"]
        assert part["total"]["saved"]["sent_bytes"] == whole["cameras"][1]["saved"]["sent_bytes"]
        assert sum(part["history"]["machine"]) < 10**9
        hidden = await http.get("/v1/overview?camera=gate", headers=people.header("yuri"))
        assert hidden.json()["cameras"] == []
