"""A real gRPC server whose side of each conversation is spoken by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc


class Conversation:
    """One Push call, as the server sees it."""

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self._context = context
        self.over = asyncio.Event()
        self.reports: list[frame_pb2.EdgeReport] = []
        """What the edge has told of itself, as far as it was read."""

    @property
    def authorization(self) -> str | bytes | None:
        """What the edge showed of itself."""
        return dict(self._context.invocation_metadata() or ()).get("authorization")

    async def hello(self) -> ingest_pb2.Hello:
        request = await self._read()
        assert request.WhichOneof("kind") == "hello"
        return request.hello

    async def frame(self) -> frame_pb2.Frame:
        request = await self._read()
        assert request is not grpc.aio.EOF
        assert request.WhichOneof("kind") == "frame"
        return request.frame

    async def frames(self, count: int) -> list[frame_pb2.Frame]:
        return [await self.frame() for _ in range(count)]

    async def closed_by_edge(self) -> None:
        assert await self._read() is grpc.aio.EOF

    async def report(self) -> frame_pb2.EdgeReport:
        request = await self._context.read()
        assert request.WhichOneof("kind") == "report"
        return request.report

    async def _read(self) -> ingest_pb2.PushRequest:
        """The next message that is no report."""
        while True:
            request = await self._context.read()
            if request is grpc.aio.EOF or request.WhichOneof("kind") != "report":
                return request
            self.reports.append(request.report)

    async def welcome(self, session: int, last_stored: int = 0, credits: int = 8) -> None:
        welcome = ingest_pb2.Welcome(session=session, last_stored_sequence=last_stored, credits=credits)
        await self._context.write(ingest_pb2.PushResponse(welcome=welcome))

    async def answer_question(self, server_time_s: float) -> None:
        """Welcome an edge that only asks."""
        welcome = ingest_pb2.Welcome()
        welcome.server_time.FromNanoseconds(round(server_time_s * 1e9))
        await self._context.write(ingest_pb2.PushResponse(welcome=welcome))

    async def ack(self, sequence: int, credits: int = 8) -> None:
        ack = ingest_pb2.Ack(acked_sequence=sequence, credits=credits)
        await self._context.write(ingest_pb2.PushResponse(ack=ack))

    async def nack(self, sequence: int, reason: ingest_pb2.NackReason) -> None:
        nack = ingest_pb2.Nack(sequence=sequence, reason=reason, detail="as the test wants it")
        await self._context.write(ingest_pb2.PushResponse(nack=nack))

    async def key_request(self) -> None:
        request = ingest_pb2.KeyRequest(detail="as the test wants it")
        await self._context.write(ingest_pb2.PushResponse(key_request=request))

    async def retain(self, session: int, sequence: int, retention: frame_pb2.Retention) -> None:
        retain = ingest_pb2.Retain(session=session, sequence=sequence, retention=retention)
        await self._context.write(ingest_pb2.PushResponse(retain=retain))

    async def ask_enhancement(self, request: int, session: int, sequence: int) -> None:
        asked = ingest_pb2.EnhancementRequest(request=request, session=session, sequence=sequence)
        await self._context.write(ingest_pb2.PushResponse(enhancement_request=asked))

    async def enhancement(self) -> ingest_pb2.EnhancementReply:
        request = await self._read()
        assert request.WhichOneof("kind") == "enhancement"
        return request.enhancement

    async def drain(self, after_s: float = 0.0) -> None:
        drain = ingest_pb2.Drain()
        drain.reconnect_after.FromNanoseconds(int(after_s * 1e9))
        await self._context.write(ingest_pb2.PushResponse(drain=drain))

    def end(self) -> None:
        self.over.set()

    async def greet(self, session: int, last_stored: int = 0, credits: int = 8) -> ingest_pb2.Hello:
        hello = await self.hello()
        await self.welcome(session, last_stored, credits)
        return hello


class ScriptedServer(ingest_pb2_grpc.IngestServiceServicer):
    """Hands each call to the test, and ends it when the test says so."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Conversation] = asyncio.Queue()
        self._refusal: tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]] | None = None
        self.refused = 0

    async def Push(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        if self._refusal is not None:
            self.refused += 1
            await context.abort(*self._refusal)
        conversation = Conversation(context)
        self._calls.put_nowait(conversation)
        await conversation.over.wait()
        if self._refusal is not None:
            await context.abort(*self._refusal)

    def refuse(
        self,
        code: grpc.StatusCode | None,
        detail: str = "as the test wants it",
        metadata: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        self._refusal = None if code is None else (code, detail, metadata)

    async def conversation(self) -> Conversation:
        return await self._calls.get()


@asynccontextmanager
async def listening(
    servicer: ScriptedServer, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """Serve on loopback; yields the port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.http2.bdp_probe", 0)])
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{port}"
    bound = (
        server.add_insecure_port(address)
        if credentials is None
        else server.add_secure_port(address, credentials)
    )
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=0)
