"""Trace contexts, and what is exported of a frame."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from secondsight.tracing import Stretch, TraceContext, Tracer


class Collector:
    """A collector that keeps what it is sent, as OTLP over HTTP has it."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        kept = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                kept.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on loopback."""
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_context_survives_its_way() -> None:
    context = TraceContext.new()
    assert TraceContext.parse(context.traceparent) == context


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ],
)
def test_what_is_no_sampled_context_is_none(traceparent: str) -> None:
    assert TraceContext.parse(traceparent) is None


def test_the_share_of_frames_is_what_was_asked_for() -> None:
    assert Tracer("tests").sample(0.0) is None
    assert Tracer("tests").sample(1.0) is not None


def test_stages_become_spans_of_one_trace(collector: Collector) -> None:
    edge = Tracer("secondsight-edge", endpoint=collector.address)
    server = Tracer("secondsight-server", endpoint=collector.address)
    context = TraceContext.new()
    edge.root(context, Stretch("frame", 1_000, 9_000), {"camera": "door"})
    edge.record(
        context, [Stretch("encode", 1_000, 3_000), Stretch("queue", 3_000, 4_000)], {"camera": "door"}
    )
    server.record(TraceContext.parse(context.traceparent), [Stretch("store", 5_000, 6_000)], {})
    edge.close()
    server.close()
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"frame", "encode", "queue", "store"}
    assert {span.trace_id.hex() for span in spans.values()} == {context.trace_id}
    assert spans["frame"].span_id.hex() == context.span_id
    assert not spans["frame"].parent_span_id
    assert {spans[name].parent_span_id.hex() for name in ("encode", "queue", "store")} == {context.span_id}
    assert (spans["encode"].start_time_unix_nano, spans["encode"].end_time_unix_nano) == (1_000, 3_000)


def test_a_failure_is_traced_though_its_frame_was_not(collector: Collector) -> None:
    tracer = Tracer("secondsight-server", endpoint=collector.address)
    assert tracer.record(None, [Stretch("decode", 1, 2)], {}) is None
    context = tracer.record(None, [Stretch("decode", 1, 2)], {}, failure="it cannot be decoded")
    tracer.close()
    (span,) = collector.spans
    assert context is not None
    assert span.trace_id.hex() == context.trace_id
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "it cannot be decoded")


def test_nothing_of_opentelemetry_is_imported_before_an_endpoint_is_named() -> None:
    script = (
        "import sys\n"
        "from secondsight.tracing import Stretch, Tracer\n"
        "tracer = Tracer('tests')\n"
        "tracer.record(tracer.sample(1.0), [Stretch.ending_now('encode', 0.1)], {})\n"
        "tracer.close()\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
