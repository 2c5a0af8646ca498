"""What can go wrong, each as something that is done to an installation and then over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import grpc.aio

from tests.chaos.installation import Edge, Installation, Part, faketime, frozen
from tests.chaos.proxy import Proxy
from tests.chaos.unruly import DISORDERLY, FLOODING, GROUP, UnrulyCamera, permuted

Inject = Callable[[Installation, Random], Awaitable[None]]

FAULTS: Final[dict[str, Fault]] = {}
"""By kind."""

_PATIENCE_S: Final = 20.0
_FLOOD_S: Final = 4.0
_FLOOD_FRAMES: Final = 5000


@dataclass(frozen=True)
class Fault:
    """One kind of fault. `inject` returns when the fault is over and the product may recover.

    Attributes:
        possible: whether the installation has what the fault is done to.
    """

    kind: str
    inject: Inject
    possible: Callable[[Installation], bool]


def _always(_: Installation) -> bool:
    return True


def fault(kind: str, possible: Callable[[Installation], bool] = _always) -> Callable[[Inject], Inject]:
    """Register a kind of fault."""

    def registered(inject: Inject) -> Inject:
        FAULTS[kind] = Fault(kind, inject, possible)
        return inject

    return registered


def _has_worker(site: Installation) -> bool:
    return site.worker is not None


def _has_own_clock(site: Installation) -> bool:
    return faketime() is not None


def _any_edge(site: Installation, chance: Random) -> Edge:
    return chance.choice([edge for edge in site.edges.values() if edge.lens is not None])


async def _killed(part: Part, chance: Random, number: signal.Signals = signal.SIGKILL) -> None:
    async with part.ending:
        await part.kill(number)
        await asyncio.sleep(chance.uniform(0.2, 3))
        await part.restart()


async def _lost(site: Installation, edge: Edge, chance: Random) -> None:
    """Kill an edge, look at what it leaves, and start it again."""
    site.lost_lives += 1
    await edge.part.kill()
    site.note_spool(edge)
    await asyncio.sleep(chance.uniform(0.2, 3))
    await edge.part.restart()


@fault("kill -9 of an edge")
async def _(site: Installation, chance: Random) -> None:
    edge = _any_edge(site, chance)
    async with edge.part.ending:
        await _lost(site, edge, chance)


@fault("an edge told to end")
async def _(site: Installation, chance: Random) -> None:
    edge = _any_edge(site, chance)
    async with edge.part.ending:
        await site.end_edge(edge)
        await asyncio.sleep(chance.uniform(0.2, 2))
        await edge.part.restart()


@fault("kill -9 of the server")
async def _(site: Installation, chance: Random) -> None:
    await _killed(site.server, chance)


@fault("the server told to end")
async def _(site: Installation, chance: Random) -> None:
    await _killed(site.server, chance, signal.SIGTERM)


@fault("kill -9 of the worker", _has_worker)
async def _(site: Installation, chance: Random) -> None:
    assert site.worker is not None
    await _killed(site.worker, chance)


@fault("kill -9 of the store")
async def _(site: Installation, chance: Random) -> None:
    async with site.store.ending:
        os.kill(await site.store_pid(), signal.SIGKILL)
        if site.store_kind == "redis":
            await site.store.child.ended()
            await asyncio.sleep(chance.uniform(0.2, 3))
            await site.store.restart()
        await site.store_pid()


def _freezing(kind: str, part: Callable[[Installation, Random], Part], longest_s: float) -> None:
    async def freeze(site: Installation, chance: Random) -> None:
        async with part(site, chance).frozen():
            await asyncio.sleep(chance.uniform(2, longest_s))

    fault(kind)(freeze)


_freezing("an edge frozen", lambda site, chance: _any_edge(site, chance).part, 8)
_freezing("the server frozen", lambda site, chance: site.server, 8)


@fault("the worker frozen", _has_worker)
async def _(site: Installation, chance: Random) -> None:
    assert site.worker is not None
    async with site.worker.frozen():
        await asyncio.sleep(chance.uniform(2, 12))


@fault("the store frozen")
async def _(site: Installation, chance: Random) -> None:
    async with frozen(await site.store_pid()):
        await asyncio.sleep(chance.uniform(2, 10))


@fault("a camera that vanishes")
async def _(site: Installation, chance: Random) -> None:
    lens = _any_edge(site, chance).lens
    assert lens is not None
    async with lens.ending:
        await lens.kill()
        await asyncio.sleep(chance.uniform(5, site.longest_absence_s))
        await lens.restart()


@fault("a camera that freezes")
async def _(site: Installation, chance: Random) -> None:
    lens = _any_edge(site, chance).lens
    assert lens is not None
    async with lens.frozen():
        await asyncio.sleep(chance.uniform(8, site.longest_absence_s))


Link = Callable[[Installation, Random], Proxy]


def _camera_link(site: Installation, chance: Random) -> Proxy:
    link = _any_edge(site, chance).rtsp
    assert link is not None
    return link


def _reset(kind: str, link: Link) -> None:
    @fault(f"{kind} reset")
    async def reset(site: Installation, chance: Random) -> None:
        proxy = link(site, chance)
        for _ in range(chance.randint(1, 3)):
            proxy.reset()
            await asyncio.sleep(chance.uniform(0, 0.5))


def _stalled(kind: str, link: Link) -> None:
    @fault(f"{kind} stalled")
    async def stalled(site: Installation, chance: Random) -> None:
        proxy = link(site, chance)
        proxy.stall()
        try:
            await asyncio.sleep(chance.uniform(2, 9))
        finally:
            proxy.flow()


def _cut(kind: str, link: Link) -> None:
    @fault(f"{kind} cut in the middle of a message")
    async def cut(site: Installation, chance: Random) -> None:
        link(site, chance).cut_after = chance.randint(1, 4000)


def _away(kind: str, link: Link) -> None:
    @fault(f"{kind} away")
    async def away(site: Installation, chance: Random) -> None:
        async with link(site, chance).away():
            await asyncio.sleep(chance.uniform(1, 6))


def _slow(kind: str, link: Link) -> None:
    @fault(f"{kind} slow")
    async def slow(site: Installation, chance: Random) -> None:
        proxy = link(site, chance)
        proxy.latency_s, proxy.bytes_per_s = chance.uniform(0.1, 0.5), chance.uniform(2e3, 2e4)
        try:
            await asyncio.sleep(chance.uniform(4, 9))
        finally:
            proxy.latency_s, proxy.bytes_per_s = 0.0, None


for _bad in (_reset, _stalled, _cut, _away, _slow):
    _bad("the uplink", lambda site, chance: site.uplink)
for _bad in (_reset, _stalled, _cut, _slow):
    _bad("the server's link to the store", lambda site, chance: site.server_store)
for _bad in (_reset, _stalled):
    _bad("the edges' link to the store", lambda site, chance: site.edge_store)
    _bad("a camera's link", _camera_link)


@fault("a full store")
async def _(site: Installation, chance: Random) -> None:
    limit = (await site.ask_store(lambda client: client.config_get("maxmemory")))["maxmemory"]
    # Nothing at all has room; what is recognised may go, and does.
    await site.ask_store(lambda client: client.config_set("maxmemory", 1))
    try:
        await asyncio.sleep(chance.uniform(2, 8))
    finally:
        await site.ask_store(lambda client: client.config_set("maxmemory", limit))


def _has_spool(site: Installation) -> bool:
    return any(edge.plan.spool_bytes for edge in site.edges.values())


@fault("a full spool", _has_spool)
async def _(site: Installation, chance: Random) -> None:
    async with site.uplink.away():
        await asyncio.sleep(site.spool_full_s)


@fault("kill -9 of an edge whose spool holds frames", _has_spool)
async def _(site: Installation, chance: Random) -> None:
    edge = chance.choice([edge for edge in site.edges.values() if edge.plan.spool_bytes])
    async with site.uplink.away(), edge.part.ending:
        await asyncio.sleep(chance.uniform(4, 8))
        await _lost(site, edge, chance)
        # It has what the one before left, and what has come since, before anybody listens.
        await asyncio.sleep(chance.uniform(0, 2))


def _clock_step(kind: str, way: int) -> None:
    @fault(kind, _has_own_clock)
    async def step(site: Installation, chance: Random) -> None:
        edge = _any_edge(site, chance)
        edge.clock_offset_s += way * chance.randint(60, 7200)
        edge.clock.write_text(f"{edge.clock_offset_s:+d}")
        await asyncio.sleep(2)


_clock_step("an edge's clock steps forward", 1)
_clock_step("an edge's clock steps back", -1)


@fault("frames repeated and out of order")
async def _(site: Installation, chance: Random) -> None:
    camera = await site.unruly(DISORDERLY)
    async with asyncio.timeout(_PATIENCE_S):
        with contextlib.suppress(grpc.aio.AioRpcError):
            async with camera.stream() as stream:
                listening = asyncio.create_task(stream.heard(GROUP))
                for sequence in permuted(chance):
                    await stream.send(camera.frame(sequence))
                    await asyncio.sleep(0.02)
                await listening
            async with camera.stream() as stream:
                for sequence in range(GROUP - 5, GROUP + 1):
                    await stream.send(camera.frame(sequence))
                await stream.heard(GROUP)


@fault("a client that floods")
async def _(site: Installation, chance: Random) -> None:
    camera = await site.unruly(FLOODING)
    with contextlib.suppress(grpc.aio.AioRpcError, TimeoutError, asyncio.InvalidStateError):
        async with asyncio.timeout(_FLOOD_S), camera.stream() as stream:
            listening = asyncio.create_task(stream.listen())
            try:
                for sequence in range(1, _FLOOD_FRAMES + 1):
                    await stream.send(camera.frame(sequence))
                await listening
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


def _guarded(site: Installation) -> bool:
    return site.guarded


@fault("clients with no, wrong, stolen and revoked tokens", _guarded)
async def _(site: Installation, chance: Random) -> None:
    victim = site.unruly_name("stranger")
    stolen = await site.token(site.unruly_name("robbed"))
    lost = site.unruly_name("lost")
    revoked = await site.token(lost)
    await site.revoke(lost)
    attempts = {victim: (None, "wrong", stolen), lost: (revoked,)}
    for camera, tokens in attempts.items():
        for token in tokens:
            client = UnrulyCamera(f"127.0.0.1:{site.uplink.port}", camera, site.codec(), token)
            try:
                async with asyncio.timeout(_PATIENCE_S), client.stream():
                    site.breaches.append(
                        f"camera {camera} was let in with {'no' if token is None else 'a bad'} token"
                    )
            except grpc.aio.AioRpcError as error:
                site.refusals[error.code().name] += 1


@fault("noise on every port")
async def _(site: Installation, chance: Random) -> None:
    for port in (site.grpc_port, site.http_port):
        for _ in range(20):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(chance.randbytes(chance.randint(1, 5000)))
                await writer.drain()
                writer.close()
