"""Results over lost connections: none is missed, none comes twice, and positions outlive the process."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from secondsight.certificates.authority import Authority
from secondsight.client import AsyncClient, Client, Layers, Retries, SettingsError, Tls, UnreachableError
from secondsight.client._results import Positions, Wanted
from secondsight.v1 import analytics_pb2
from server.process import Server
from server.tls import ServerTlsConfig
from shared_models import Codec, EncodedFrame
from tests.client.conftest import FRAMES, Street, settings_of
from tests.server.conftest import StartServer
from tests.server.harness import EdgeStream, SquareSpotter, edge_stream, recognised

QUICK = Retries(first_wait=0.02, longest_wait=0.1)
Encoded = list[EncodedFrame]


async def feed(edge: EdgeStream, encoded: Encoded, *sequences: int) -> None:
    for sequence in sequences:
        await edge.send(sequence, encoded[sequence % len(encoded)])
    await edge.ack_of(sequences[-1])


async def test_a_subscription_outlives_its_server(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    kept_places: dict[str, str],
) -> None:
    """Also of a camera of which nothing had come before the connection was lost."""
    async with start_server(SquareSpotter(), **kept_places) as first:
        asking = AsyncClient(settings_of(first, retries=QUICK))
        async with edge_stream(first, codec, "street") as street, edge_stream(first, codec, "yard") as yard:
            await street.hello()
            await yard.hello()
            await feed(street, encoded, 1, 2)
            await feed(yard, encoded, 1)
            await recognised(client, 2, "street")
            await recognised(client, 1, "yard")
            results = asking.subscribe()
            coming = asyncio.ensure_future(anext(results))
            while not results.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await feed(street, encoded, 3)
            assert (await coming).frame == "1-3"
            sessions = street.session, yard.session
    coming = asyncio.ensure_future(anext(results))
    async with start_server(SquareSpotter(), **kept_places) as second:
        async with edge_stream(second, codec, "street") as street, edge_stream(second, codec, "yard") as yard:
            await street.hello(sessions[0])
            await yard.hello(sessions[1])
            # Before the subscription is there again, as far as one can tell.
            await feed(yard, encoded, 2)
            await feed(street, encoded, 4)
            came = [await coming, await anext(results)]
            assert {(each.camera, each.frame) for each in came} == {
                ("yard", f"{sessions[1]}-2"),
                ("street", "1-4"),
            }
        await results.close()
        await asking.close()


async def test_positions_outlive_the_process(street: Street) -> None:
    async with AsyncClient(street.settings) as client:
        async with client.subscribe(start="earliest") as results:
            for _ in range(3):
                await anext(results)
            # The third is in hand, and not dealt with.
            kept = json.dumps(results.positions)
            results.done()
            later = json.dumps(results.positions)
        async with client.subscribe(resume_after=json.loads(kept)) as results:
            assert (await anext(results)).frame == "1-3"

    def synchronously() -> list[str]:
        with Client(street.settings) as client, client.subscribe(resume_after=json.loads(later)) as results:
            return [next(results).frame for _ in range(FRAMES - 3)]

    assert await asyncio.to_thread(synchronously) == ["1-4", "1-5", "1-6"]


async def test_filters_leave_out_what_is_not_wanted(street: Street) -> None:
    async with (
        AsyncClient(street.settings) as client,
        client.subscribe(["street"], labels=["shadow"], start="earliest") as results,
    ):
        result = await anext(results)
    assert [detection.label for detection in result.detections] == ["shadow"]


async def test_nobody_there_is_told_and_not_waited_for_ever(street: Street) -> None:
    few = replace(QUICK, attempts=2)
    nobody = replace(street.settings, grpc="127.0.0.1:1", retries=few)
    async with AsyncClient(nobody) as client, client.subscribe() as results:
        with pytest.raises(UnreachableError):
            await anext(results)


def response(
    sequence: int, recognised_ns: int = 10, captured_ns: int = 0, camera: str = "street"
) -> analytics_pb2.SubscribeResponse:
    told = analytics_pb2.SubscribeResponse(offset=f"1-{sequence}")
    frame = told.result.frame
    frame.camera_id, frame.session, frame.sequence = camera, 1, sequence
    told.result.recognised_at.FromNanoseconds(recognised_ns)
    told.result.captured_at.FromNanoseconds(captured_ns or sequence)
    return told


def test_what_was_had_is_passed_over_unless_a_new_store_numbers_anew() -> None:
    positions = Positions(Wanted(), {})
    positions.opened(5)
    for sequence in (1, 2):
        assert positions.is_new(response(sequence))
        positions.dealt_with(response(sequence))
    assert not positions.is_new(response(1))
    assert positions.offsets == {"street": "1-2"}
    assert positions.is_new(response(1, captured_ns=77))


def test_a_camera_without_a_position_goes_on_from_when_the_subscription_began() -> None:
    positions = Positions(Wanted(), {})
    assert positions.request().start_from == analytics_pb2.START_FROM_LATEST
    positions.opened(server_time_ns=100)
    assert positions.request().start_from == analytics_pb2.START_FROM_EARLIEST
    positions.opened(server_time_ns=500)
    assert not positions.is_new(response(1, recognised_ns=99))
    assert positions.is_new(response(2, recognised_ns=101))


async def test_everything_goes_by_tls_with_certificates(
    start_server: StartServer, codec: Codec, encoded: Encoded, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "files")
    authority.make_server(["localhost"], days=1)
    authority.make_client("me", days=1)
    files = tmp_path / "files"
    tls = ServerTlsConfig(
        certificate=files / "server.pem", key=files / "server-key.pem", client_ca=files / "ca.pem"
    )
    async with start_server(SquareSpotter(), tls=tls) as server:
        own = Tls(ca=files / "ca.pem", certificate=files / "me.pem", key=files / "me-key.pem")
        settings = replace(
            settings_of(server),
            server=_https(server),
            grpc=_localhost(server.grpc_address),
            tls=own,
            retries=QUICK,
        )
        async with AsyncClient(settings) as client:
            assert await client.cameras() == ()
            async with client.pushing("gate", model=codec.predicting_id) as pushing:
                await pushing.push_layers(Layers(machine=encoded[0].machine))
            async with client.subscribe(start="earliest") as results:
                assert (await anext(results)).camera == "gate"
        stranger = replace(settings, tls=Tls(), retries=replace(QUICK, attempts=1))
        async with AsyncClient(stranger) as client:
            with pytest.raises(UnreachableError, match="certificate"):
                await client.cameras()
            with pytest.raises(UnreachableError):
                async with client.subscribe() as results:
                    await anext(results)
    with pytest.raises(SettingsError):
        AsyncClient(replace(settings, tls=replace(own, key=files / "server-key.pem")))


def _localhost(address: str) -> str:
    return f"localhost:{address.rpartition(':')[2]}"


def _https(server: Server) -> str:
    return f"https://{_localhost(server.http_address)}"
