"""Cameras with frames captured at known times, and a client that asks for clips and exports of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from redis.asyncio import Redis

from secondsight.v1 import frame_pb2
from server.process import Server
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.harness import PATIENCE, EdgeStream, edge_stream, keep_enhancement, recognised

BEGAN: Final = datetime.fromtimestamp(int(time.time()) - 600, UTC)
"""When the first frame of every camera was captured."""
OFFSETS_MS: Final = (0, 100, 200, 300, 2300, 2400, 2500, 2640)
"""Of the frames of a camera; between the fourth and the fifth nothing was captured."""


def told(moment: datetime) -> str:
    """As REST takes it."""
    return moment.isoformat()


ALL: Final = {"from": told(BEGAN), "to": told(BEGAN + timedelta(minutes=1))}
"""A time with every frame in it."""


@dataclass
class Asking:
    """A client of a server's jobs."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def post(self, what: str, **order: Any) -> httpx.Response:
        """Ask for a clip or an export of everything, unless `order` says otherwise."""
        key = order.pop("key", None)
        headers = {**self.headers, **({} if key is None else {"Idempotency-Key": key})}
        return await self.http.post(f"/v1/{what}", json={**ALL, **order}, headers=headers)

    async def get(self, address: str, **headers: str) -> httpx.Response:
        return await self.http.get(address, headers={**self.headers, **headers})

    async def delete(self, address: str) -> httpx.Response:
        return await self.http.delete(address, headers=self.headers)

    async def ended(self, what: str, **order: Any) -> dict[str, Any]:
        """Ask, and wait until the job has ended."""
        answer = await self.post(what, **order)
        assert answer.status_code == 202, answer.text
        return await self.end_of(answer.headers["location"])

    async def end_of(self, address: str) -> dict[str, Any]:
        """Wait until a job has ended."""
        async with asyncio.timeout(PATIENCE):
            while True:
                job: dict[str, Any] = (await self.get(address)).json()
                if job["state"] in ("done", "failed"):
                    return job
                await asyncio.sleep(0.02)

    async def file(self, job: dict[str, Any], folder: Path) -> Path:
        """Fetch what a job has made."""
        assert job["state"] == "done", job
        answer = await self.get(job["links"]["file"])
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == job["bytes"]
        path = folder / job["file_name"]
        path.write_bytes(answer.content)
        return path


def asking(server: Server, headers: dict[str, str] | None = None, host: str = "127.0.0.1") -> Asking:
    """A client; close its `http`."""
    transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
    return Asking(httpx.AsyncClient(transport=transport, base_url=f"http://{host}"), headers or {})


@asynccontextmanager
async def open_to(server: Server, headers: dict[str, str] | None = None) -> AsyncIterator[Asking]:
    """A client for as long as it is needed."""
    client = asking(server, headers)
    try:
        yield client
    finally:
        await client.http.aclose()


async def filmed(
    server: Server,
    codec: Codec,
    stream: Sequence[GroupFrame],
    client: Redis,
    camera_id: str = "gate",
    token: str | None = None,
    without: Sequence[int] = (),
    **changes: Any,
) -> list[frame_pb2.Frame]:
    """Have a camera send its frames, and keep their enhancement layers, but for those of some sequence numbers."""
    async with edge_stream(server, codec, camera_id, token=token) as edge:
        await edge.hello()
        sent = []
        for sequence, (frame, offset) in enumerate(zip(stream, OFFSETS_MS, strict=False), start=1):
            sent.append(await _send(edge, sequence, frame, offset, **changes))
            if sequence not in without:
                await keep_enhancement(client, sent[-1], frame)
        await edge.ack_of(len(sent))
        await recognised(client, len(sent), camera_id)
    return sent


async def _send(
    edge: EdgeStream, sequence: int, frame: GroupFrame, offset_ms: int, **changes: Any
) -> frame_pb2.Frame:
    captured = frame_pb2.Frame()
    captured.captured_at.FromDatetime(BEGAN + timedelta(milliseconds=offset_ms))
    # GetCurrentTime of the harness leaves nanoseconds, which a merge would not set to 0.
    captured.captured_at.nanos = captured.captured_at.nanos or 1
    return await edge.send_in_group(sequence, frame, captured_at=captured.captured_at, **changes)
