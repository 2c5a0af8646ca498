"""Traces of single frames through edge, server and worker: spans of our own, exported by OpenTelemetry.

A frame that is sampled carries a W3C ``traceparent`` (https://www.w3.org/TR/trace-context/) in its message; each
process adds its stages as spans to that trace. gRPC's own instrumentation is not used: it makes one span of an endless
stream.

OpenTelemetry is optional (the extra ``tracing``). It is imported only when an endpoint is configured; without one
frames that are sampled still carry their ``traceparent``, and spans cost a comparison.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

ENDPOINT_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
SAMPLED_SHARE: Final = 0.01
"""Of frames, unless something else is asked for. A frame that fails is always traced."""

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 0x01

Attributes = Mapping[str, str | int | float | bool]


class TracingUnavailableError(Exception):
    """Spans are to be exported, and OpenTelemetry is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "traces are to be exported, but OpenTelemetry is missing: pip install 'secondsight[tracing]', or leave out "
            "the endpoint"
        )


@dataclass(frozen=True)
class TraceContext:
    """Where in which trace something happens."""

    trace_id: str
    span_id: str

    @classmethod
    def new(cls) -> TraceContext:
        """The beginning of a new trace."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def parse(cls, traceparent: str) -> TraceContext | None:
        """What a ``traceparent`` says; None when it is none or says that the trace is not sampled."""
        match = _TRACEPARENT.fullmatch(traceparent)
        if match is None or not int(match[3], 16) & _SAMPLED:
            return None
        return cls(match[1], match[2])

    @property
    def traceparent(self) -> str:
        """As it travels."""
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED:02x}"


@dataclass(frozen=True)
class Stretch:
    """A stage that took place. Wall clock, nanoseconds since the epoch."""

    name: str
    begun_ns: int
    ended_ns: int

    @classmethod
    def ending_now(cls, name: str, seconds: float) -> Stretch:
        """One that has just ended."""
        now = time.time_ns()
        return cls(name, now - int(seconds * 1e9), now)


class Tracer:
    """Samples frames and exports what became of them.

    Args:
        service: name of the process, as ``secondsight-edge``.
        endpoint: base of an OTLP collector's HTTP address, as ``http://127.0.0.1:4318``; None exports nothing.
        exporter: in its place, for tests.

    Raises:
        TracingUnavailableError: there is an endpoint, and OpenTelemetry is not installed.
    """

    def __init__(
        self,
        service: str,
        endpoint: str | None = None,
        exporter: SpanExporter | None = None,
    ) -> None:
        self._provider: TracerProvider | None = None
        if exporter is None and endpoint is not None:
            exporter = _otlp(endpoint)
        if exporter is not None:
            self._provider = _provider(service, exporter)

    @property
    def exports(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    def sample(self, share: float = SAMPLED_SHARE) -> TraceContext | None:
        """The context of a frame that begins; None when it is not among the `share` that is traced, 0 to 1."""
        return TraceContext.new() if random.random() < share else None

    def record(
        self,
        context: TraceContext | None,
        stages: Sequence[Stretch],
        attributes: Attributes,
        failure: str = "",
    ) -> TraceContext | None:
        """Export the stages of one frame as children of `context`.

        A failure is traced also when the frame was not sampled: then it begins a trace. Gives the context that was
        used.
        """
        if context is None and failure:
            context = TraceContext.new()
        if context is None or self._provider is None:
            return context
        _export(self._provider, context, stages, attributes, failure)
        return context

    def root(self, context: TraceContext | None, stretch: Stretch, attributes: Attributes) -> None:
        """Export the span that `context` itself names: what all others of the trace hang on."""
        if context is not None and self._provider is not None:
            _export_root(self._provider, context, stretch, attributes)

    def close(self) -> None:
        """Export what waits, and end."""
        if self._provider is not None:
            self._provider.shutdown()


_tracer = Tracer("secondsight")


def tracer() -> Tracer:
    """The tracer of this process. Outside `tracing_as` it exports nothing."""
    return _tracer


@contextmanager
def tracing_as(service: str, exporter: SpanExporter | None = None) -> Iterator[None]:
    """Be `service` meanwhile, and export where OTEL_EXPORTER_OTLP_ENDPOINT says, if it says.

    Raises:
        TracingUnavailableError
    """
    global _tracer
    before, _tracer = _tracer, Tracer(service, os.environ.get(ENDPOINT_VARIABLE) or None, exporter)
    try:
        yield
    finally:
        _tracer.close()
        _tracer = before


def _otlp(endpoint: str) -> SpanExporter:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise TracingUnavailableError
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TracingUnavailableError from error
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5)


def _provider(service: str, exporter: SpanExporter) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), shutdown_on_exit=False, id_generator=_ids()
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _ids() -> Any:
    """OpenTelemetry's random identifiers, except where one was given out before its span is made."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        chosen: TraceContext | None = None

        def generate_span_id(self) -> int:
            chosen, self.chosen = self.chosen, None
            return super().generate_span_id() if chosen is None else int(chosen.span_id, 16)

        def generate_trace_id(self) -> int:
            return super().generate_trace_id() if self.chosen is None else int(self.chosen.trace_id, 16)

    return Ids()


def _export(
    provider: TracerProvider,
    context: TraceContext,
    stages: Sequence[Stretch],
    attributes: Attributes,
    failure: str,
) -> None:
    from opentelemetry import trace

    parent = trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                int(context.trace_id, 16),
                int(context.span_id, 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(_SAMPLED),
            )
        )
    )
    tracer = provider.get_tracer("secondsight")
    for stage in stages:
        span = tracer.start_span(stage.name, parent, attributes=dict(attributes), start_time=stage.begun_ns)
        if failure and stage is stages[-1]:
            span.set_status(trace.StatusCode.ERROR, failure)
        span.end(stage.ended_ns)


def _export_root(
    provider: TracerProvider, context: TraceContext, stretch: Stretch, attributes: Attributes
) -> None:
    from opentelemetry.context import Context

    provider.id_generator.chosen = context  # type: ignore[attr-defined]
    tracer = provider.get_tracer("secondsight")
    span = tracer.start_span(
        stretch.name, Context(), attributes=dict(attributes), start_time=stretch.begun_ns
    )
    span.end(stretch.ended_ns)
