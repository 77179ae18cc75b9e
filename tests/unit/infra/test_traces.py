"""An order's spans are one tree across processes; without an exporter there are none."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from internal.infra import settings, traces
from internal.kernel import errors

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Collect spans while a test lasts."""
    exporter = InMemorySpanExporter()
    off = traces.install(SimpleSpanProcessor(exporter), "souk-test")
    yield exporter
    off()


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (found,) = spans.get_finished_spans()
    return found


def ids_of(span: ReadableSpan) -> tuple[str, str, str]:
    """Return trace id, span id and the parent's span id, "" for none."""
    assert span.context
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent


@pytest.mark.parametrize("caller", [CALLER, ""])
def test_the_server_span_has_a_derived_id(spans: InMemorySpanExporter, caller: str) -> None:
    with traces.server_span("SubmitOrder", TRACE, caller, {"souk.merchant_id": "m"}):
        pass
    span = only(spans)
    assert ids_of(span) == (TRACE, traces.server_span_id(TRACE), caller)
    assert traces.traceparent_of(TRACE) == f"00-{TRACE}-{traces.server_span_id(TRACE)}-01"
    assert span.attributes == {"souk.merchant_id": "m"}


def test_a_stage_span_is_a_child_of_the_server_span(
    spans: InMemorySpanExporter,
) -> None:
    traces.record("payment_processing OrderPaid", TRACE, 1_000, 3_000, {"souk.order_id": "o"})
    span = only(spans)
    trace_id, span_id, parent = ids_of(span)
    assert (trace_id, parent) == (TRACE, traces.server_span_id(TRACE))
    assert span_id != parent
    assert (span.start_time, span.end_time) == (1_000_000, 3_000_000)


def test_an_order_without_a_trace_makes_no_span(spans: InMemorySpanExporter) -> None:
    traces.record("order_processing OrderAccepted", "", 1, 2)
    traces.record("order_processing OrderAccepted", "by hand", 1, 2)
    assert traces.traceparent_of("by hand") == ""
    assert not spans.get_finished_spans()


def test_all_spans_of_an_order_are_kept_or_none() -> None:
    exporter = InMemorySpanExporter()
    off = traces.install(SimpleSpanProcessor(exporter), "souk-test", sample_ratio=0.5)
    for number in range(64):
        trace_id = f"{number * 2**58 + 1:032x}"
        with traces.server_span("SubmitOrder", trace_id, ""):
            pass
        traces.record("order_processing OrderAccepted", trace_id, 1, 2)
    off()
    kept = [ids_of(span)[0] for span in exporter.get_finished_spans()]
    assert 0 < len(set(kept)) < 64
    assert all(kept.count(trace_id) == 2 for trace_id in kept)


def test_without_an_endpoint_nothing_is_made() -> None:
    off = traces.setup(settings.TracesSettings(), "souk-test")
    assert not traces.is_on()
    with traces.server_span("SubmitOrder", TRACE, ""):
        traces.record("order_processing OrderAccepted", TRACE, 1, 2)
    off()


def test_an_endpoint_that_is_not_an_address_is_named() -> None:
    with pytest.raises(errors.Misconfigured, match="SOUK_TRACES__ENDPOINT"):
        traces.setup(settings.TracesSettings(endpoint="localhost:4318"), "souk-test")


def test_an_unreachable_collector_delays_nothing() -> None:
    options = settings.TracesSettings(endpoint="http://127.0.0.1:9/v1/traces", timeout_s=0.1)
    off = traces.setup(options, "souk-test")
    assert traces.is_on()
    traces.record("order_processing OrderAccepted", TRACE, 1, 2)
    off()
    assert not traces.is_on()
