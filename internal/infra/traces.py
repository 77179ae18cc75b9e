"""Traces, by OpenTelemetry: the spans of an order, from the API server to the last stage.

Off unless the settings name an endpoint; then every call here costs one look at a variable.

An order has a trace id from the start (the caller's, or its own), and facts carry it along. The API
server's span is the parent of all others. Its id is derived from the trace id, so facts carry
nothing else, and any process can write an order's W3C traceparent.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from internal.infra import settings
from internal.kernel import errors

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context

Attributes = Mapping[str, str | int]
NOTHING: Attributes = {}
NS_PER_US = 1_000
SPAN_ID_DIGITS = 16
_TRACE_ID_DIGITS = 32
_SAMPLED = "01"


class _State:
    """The one tracer of a process; None while traces are off."""

    tracer: "trace.Tracer | None" = None


_wanted_ids: ContextVar[tuple[int, int]] = ContextVar("_wanted_ids", default=(0, 0))
"""Trace and span id of the span about to be made; zeros for random ones."""


def setup(options: settings.TracesSettings, service: str) -> Callable[[], None]:
    """Turn traces on if there is an endpoint; return a function that flushes and turns them off.

    Raises:
        Misconfigured: the endpoint is not an http address.
    """
    if not options.endpoint:
        return lambda: None
    if not options.endpoint.startswith(("http://", "https://")):
        raise errors.Misconfigured(
            f"SOUK_TRACES__ENDPOINT: {options.endpoint!r} is not an http address"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - only then
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - only then

    exporter = OTLPSpanExporter(endpoint=options.endpoint, timeout=options.timeout_s)
    return install(BatchSpanProcessor(exporter), service, options.sample_ratio)


def install(processor: object, service: str, sample_ratio: float = 1.0) -> Callable[[], None]:
    """Turn traces on with a span processor; return a function that turns them off again."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only then
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only then
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - only then
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415 - only then

    class Ids(RandomIdGenerator):
        """Random ids, except for spans whose id is derived."""

        def generate_trace_id(self) -> int:
            return _wanted_ids.get()[0] or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return _wanted_ids.get()[1] or super().generate_span_id()

    provider = TracerProvider(
        sampler=TraceIdRatioBased(sample_ratio),
        resource=Resource.create({"service.name": service}),
        id_generator=Ids(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)  # type: ignore[arg-type] # given as an object on purpose
    _State.tracer = provider.get_tracer("souk")

    def off() -> None:
        _State.tracer = None
        provider.shutdown()

    return off


def is_on() -> bool:
    """Tell whether traces are on."""
    return _State.tracer is not None


def traceparent_of(trace_id: str) -> str:
    """Return the W3C traceparent of an order's first span; "" if this is not a trace id.

    Source: www.w3.org/TR/trace-context.
    """
    if len(trace_id) != _TRACE_ID_DIGITS:
        return ""
    return f"00-{trace_id}-{server_span_id(trace_id)}-{_SAMPLED}"


def server_span_id(trace_id: str) -> str:
    """Return the id of the API server's span in a trace, derived from the trace id."""
    return hashlib.blake2b(trace_id.encode(), digest_size=SPAN_ID_DIGITS // 2).hexdigest()


@contextlib.contextmanager
def server_span(
    name: str, trace_id: str, parent_span_id: str, attributes: Attributes = NOTHING
) -> Iterator[None]:
    """Record a call of the API; the caller's span is its parent, if there is one."""
    tracer = _State.tracer
    if tracer is None:
        yield
        return
    from opentelemetry import context, trace  # noqa: PLC0415 - only then

    parent = _context(trace_id, parent_span_id) if parent_span_id else context.Context()
    token = _wanted_ids.set((int(trace_id, 16), int(server_span_id(trace_id), 16)))
    kind = trace.SpanKind.SERVER
    made = tracer.start_span(name, parent, kind=kind, attributes=dict(attributes))
    _wanted_ids.reset(token)
    with trace.use_span(made, end_on_exit=True):
        yield


def record(
    name: str, trace_id: str, began_us: int, ended_us: int, attributes: Attributes = NOTHING
) -> None:
    """Add a finished span to an order's trace."""
    tracer = _State.tracer
    if tracer is None or not traceparent_of(trace_id):
        return
    parent = _context(trace_id, server_span_id(trace_id))
    made = tracer.start_span(
        name, parent, start_time=began_us * NS_PER_US, attributes=dict(attributes)
    )
    made.end(ended_us * NS_PER_US)


def _context(trace_id: str, span_id: str) -> "Context":
    from opentelemetry import trace  # noqa: PLC0415 - only then

    there = trace.SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(there))
