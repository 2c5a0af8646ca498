"""Stores that fail over, go slow, or are a cluster: no acknowledged frame is lost, and what ails the store is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY

from edge.backoff import Backoff
from edge.enhancement_store import EnhancementStore
from secondsight.v1 import analytics_pb2
from server.errors import ServerConfigError
from server.store.client import open_client
from shared_models import Codec, EncodedFrame
from tests.server.conftest import CONFIG, StartServer
from tests.server.harness import (
    PATIENCE,
    SquareSpotter,
    edge_stream,
    frames_in,
    recognised,
    results_in,
    subscription,
    until,
)
from tests.server.stores import StoreServer, Switch, debian_redis, store_cluster, store_server, wait_for

Encoded = list[EncodedFrame]


def _failing(operation: str, reason: str) -> float:
    labels = {"operation": operation, "reason": reason}
    return REGISTRY.get_sample_value("secondsight_store_failing", labels) or 0.0


@contextmanager
def replicated(folder: Path, binary: Path | None = None) -> Iterator[tuple[StoreServer, StoreServer]]:
    """A primary and its replica, which is in step."""
    at_once = ("--repl-diskless-sync-delay", "0")
    with store_server(folder / "primary", *at_once, binary=binary) as primary:
        of = ("--replicaof", f"127.0.0.1 {primary.port}", *at_once)
        with store_server(folder / "replica", *of, binary=binary) as replica:
            wait_for(lambda: replica.client.info("replication")["master_link_status"] == "up")
            yield primary, replica


@pytest.mark.parametrize("program", ["valkey", "redis"])
async def test_a_store_that_fails_over_loses_no_frame_that_a_replica_was_waited_for(
    program: str, tmp_path: Path, start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    binary = debian_redis() if program == "redis" else None
    with replicated(tmp_path, binary) as (primary, replica):
        switch = Switch(primary.port)
        async with (
            switch.listening() as url,
            start_server(
                SquareSpotter(), url=url, replicas=1, replicas_within=0.2, store_patience=PATIENCE
            ) as server,
            edge_stream(server, codec) as edge,
        ):
            await edge.hello()
            for sequence in range(1, 5):
                await edge.send(sequence, encoded[sequence])
                await edge.ack_of(sequence)
            # The primary is demoted before the server is led away from it: it answers READONLY meanwhile.
            replica.client.replicaof("NO", "ONE")
            primary.client.replicaof("127.0.0.1", replica.port)
            with store_server(tmp_path / "third", "--replicaof", f"127.0.0.1 {replica.port}", binary=binary):
                await edge.send(5, encoded[5])
                await until_failing("append", "read_only")
                async with httpx.AsyncClient(
                    base_url=f"http://{server.http_address}", timeout=PATIENCE
                ) as http:
                    ready = await http.get("/readyz")
                    assert ready.status_code == 503
                    assert "replica" in ready.json()["store_detail"]
                switch.leads_to = replica.port
                await edge.ack_of(5)
                client = open_client(replica.url)
                await recognised(client, 5)
                results = await results_in(client)
                assert list(results) == [f"1-{sequence}" for sequence in range(1, 6)]
                assert not any(result.failure for result in results.values())
                await client.aclose()


async def until_failing(operation: str, reason: str) -> None:
    async def failing() -> bool:
        return _failing(operation, reason) == 1.0

    await until(failing)


async def test_a_frame_that_no_replica_has_is_not_acknowledged(
    tmp_path: Path, start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    with replicated(tmp_path) as (primary, replica):
        async with (
            start_server(url=primary.url, replicas=1, replicas_within=0.1) as server,
            edge_stream(server, codec) as edge,
        ):
            await edge.hello()
            with replica.paused():
                await edge.send(1, encoded[0])
                await until_failing("append", "not_replicated")
                client = open_client(primary.url)
                assert await frames_in(client) == ["1-1"]
                assert edge.acked_sequence == 0
            await edge.ack_of(1)
            await recognised(client, 1)
            assert _failing("append", "not_replicated") == 0.0
            await client.aclose()


async def test_a_store_that_does_not_answer_for_a_while_costs_nothing_but_time(
    tmp_path: Path, start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    with store_server(tmp_path) as slow:
        async with (
            start_server(SquareSpotter(), url=slow.url, lease=0.6, probe_within=0.2) as server,
            edge_stream(server, codec) as edge,
            httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
        ):
            await edge.hello()
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
            with slow.paused():
                await edge.send(2, encoded[1])
                ready = await http.get("/readyz")
                assert ready.status_code == 503
                assert "did not answer within" in ready.json()["store_detail"]
                await asyncio.sleep(1.0)  # longer than a lease
                assert edge.acked_sequence == 1
            await edge.ack_of(2)
            client = open_client(slow.url)
            await recognised(client, 2)
            assert list(await results_in(client)) == ["1-1", "1-2"]

            async def ready_again() -> bool:
                return (await http.get("/readyz")).status_code == 200

            await until(ready_again)
            await client.aclose()


@pytest.mark.parametrize("program", ["valkey", "redis"])
async def test_in_a_full_store_recognition_goes_on_and_readiness_tells(
    program: str, tmp_path: Path, start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    with store_server(tmp_path, binary=debian_redis() if program == "redis" else None) as full:
        spotter = SquareSpotter()
        spotter.released.clear()
        async with (
            start_server(spotter, url=full.url) as server,
            edge_stream(server, codec) as edge,
            httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
        ):
            await edge.hello()
            for sequence in (1, 2, 3):
                await edge.send(sequence, encoded[sequence])
                await edge.ack_of(sequence)
            full.client.config_set("maxmemory", 1)
            spotter.released.set()
            client = open_client(full.url)
            await recognised(client, 3)
            assert list(await results_in(client)) == ["1-1", "1-2", "1-3"]
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            assert "full" in ready.json()["store_detail"]
            await edge.send(4, encoded[4])
            await until_failing("append", "full")
            full.client.config_set("maxmemory", 0)
            await edge.ack_of(4)
            await client.aclose()


async def test_a_full_store_asks_for_a_key_frame_whose_group_can_take_the_place_of_the_last(
    tmp_path: Path, start_server: StartServer, codec: Codec, stream: list[EncodedFrame]
) -> None:
    with store_server(tmp_path) as full:
        async with start_server(SquareSpotter(), url=full.url) as server, edge_stream(server, codec) as edge:
            await edge.hello()
            client = open_client(full.url)
            for sequence in (1, 2, 3):
                await edge.send_in_group(sequence, stream[sequence - 1])
            await recognised(client, 3)
            full.client.config_set("maxmemory", 1)
            await edge.send_in_group(4, stream[3])
            assert "store is full" in (await edge.key_request()).detail
            await edge.send_in_group(5, stream[4])
            full.client.config_set("maxmemory", 0)
            await edge.ack_of(5)
            await recognised(client, 4)
            assert (await frames_in(client))[-1] == "1-5"
            await client.aclose()


async def test_a_server_on_a_cluster_takes_in_recognises_and_hands_out(
    tmp_path: Path, start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    cameras = ["attic", "barn", "cellar"]
    with store_cluster(tmp_path) as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
        async with start_server(SquareSpotter(), url=url) as server, open_client(url) as client:
            async with subscription(server) as following, subscription(server) as another:
                for camera_id in cameras:
                    async with edge_stream(server, codec, camera_id) as edge:
                        await edge.hello()
                        for sequence in (1, 2, 3):
                            await edge.send(sequence, encoded[sequence])
                            await edge.ack_of(sequence)
                for subscriber in (following, another):
                    seen = [(await subscriber()).result.frame for _ in range(9)]
                    for camera_id in cameras:
                        assert [frame.sequence for frame in seen if frame.camera_id == camera_id] == [1, 2, 3]
            async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
                assert (await http.get("/readyz")).status_code == 200
                listed = (await http.get("/v1/cameras/barn/frames")).json()
                assert len(listed["frames"]) == 3
            for camera_id in cameras:
                edge_store = EnhancementStore(url, camera_id, PATIENCE, Backoff(0.1, 1.0))
                assert await edge_store.write((1, 1), b"layer", 60_000)
                assert await edge_store.write((1, 2), b"layer", 60_000, key=(1, 1))
                assert await edge_store.read((1, 2)) == b"layer"
                await edge_store.close()
            assert all(node.client.dbsize() for node in nodes)
            assert REGISTRY.get_sample_value("secondsight_store_up") == 1.0
            for camera_id in cameras:
                assert len(await results_in(client, camera_id)) == 3


async def test_results_of_another_task_are_subscribed_to_by_its_name(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with (
        start_server() as server,
        start_server(SquareSpotter(), task="squares"),
        edge_stream(server, codec) as edge,
        subscription(server, task="squares", start_from=analytics_pb2.START_FROM_EARLIEST) as squares,
        subscription(server) as default,
    ):
        await edge.hello()
        await edge.send(1, encoded[1])
        seen = (await squares()).result
        assert (seen.task, len(seen.detections)) == ("squares", 2)
        assert (await default()).result.task == ""


async def test_what_a_server_serves_can_be_asked_of_it(start_server: StartServer) -> None:
    async with start_server() as server, grpc.aio.insecure_channel(server.grpc_address) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        try:
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            listed = (await call.read()).list_services_response.service
        finally:
            call.cancel()
        assert {"secondsight.v1.IngestService", "secondsight.v1.AnalyticsService"} <= {
            one.name for one in listed
        }


def test_replicas_of_a_cluster_are_its_own_to_demand() -> None:
    with pytest.raises(ServerConfigError, match="min-replicas-to-write"):
        replace(CONFIG, store="redis+cluster://127.0.0.1:7000", replicas=1)
