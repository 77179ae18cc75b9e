"""An order's trace, from its message to its end: every stage and the gateway, under one parent."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from internal.flow import topics
from internal.infra import traces
from tests.support import shop
from tests.support.pipeline_fixture import Site, found, opened

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Collect spans while a test lasts."""
    exporter = InMemorySpanExporter()
    off = traces.install(SimpleSpanProcessor(exporter), "souk-test")
    yield exporter
    off()


async def test_every_step_of_an_order_is_a_child_of_the_doors_span(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    site = Site(tmp_path)
    await found(site)
    placed = msgspec.structs.replace(shop.placed("o", tenders=(shop.card(),)), trace_id=TRACE)
    async with opened(site) as world:
        await world.run(placed)
    mine = [
        span
        for span in spans.get_finished_spans()
        if span.context and f"{span.context.trace_id:032x}" == TRACE
    ]
    assert [span.name for span in mine] == [
        "order_processing database",
        "order_processing OrderAccepted",
        "payment_processing database",
        "gateway sale",
        "payment_processing database",
        "payment_processing OrderPaid",
        "finalization database",
        "finalization OrderFinalized",
    ]
    parents = {span.parent.span_id for span in mine if span.parent}
    assert parents == {int(traces.server_span_id(TRACE), 16)}


def test_a_message_names_the_trace_of_its_first_order_and_its_contents() -> None:
    first = msgspec.structs.replace(shop.placed("o"), trace_id=TRACE)
    (message,) = topics.ENVELOPE.pack([first, shop.placed("o")], 16)
    (again,) = topics.ENVELOPE.pack([first, shop.placed("o")], 16)
    (other,) = topics.ENVELOPE.pack([first], 16)
    assert message.properties["traceparent"] == traces.traceparent_of(TRACE)
    assert message.properties["id"] == again.properties["id"] != other.properties["id"]
    required = {"specversion", "id", "source", "type"}
    assert required <= message.properties.keys()
