"""The middleware under an adapter that is not gRPC's: JSON in, a status number and JSON out."""

import asyncio
from functools import partial
from typing import Any

from google.protobuf import json_format, message

from internal.api import calls, options, status
from internal.kernel import ids
from internal.orders.messages import OrderPlaced
from tests.unit.api import memory

HTTP_STATUS = {
    status.Code.INVALID_ARGUMENT: 400,
    status.Code.UNAUTHENTICATED: 401,
    status.Code.NOT_FOUND: 404,
    status.Code.RESOURCE_EXHAUSTED: 429,
    status.Code.INTERNAL: 500,
    status.Code.UNAVAILABLE: 503,
    status.Code.DEADLINE_EXCEEDED: 504,
}
KEY = {"Authorization": "Bearer key-of-m1"}
TEA = """{"order": {"orderId": "o-1", "storeId": "s-1", "currency": "EUR",
          "lines": [{"sku": "tea", "quantityMilli": 2000}],
          "tenders": [{"cash": {}}], "note": "%s"}}"""
ORDER = TEA % ""


class HttpAdapter:
    """An adapter in a few lines: headers and a JSON body in, a status and JSON out."""

    def __init__(self, limits: options.Limits | None = None) -> None:
        self.backend = memory.Backend(limits or options.Limits())
        self._methods = {method.name: method for method in self.backend.service.methods()}

    async def post(
        self, name: str, body: str, headers: dict[str, str] = KEY, sent: list[Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        async def send(answer: message.Message) -> None:
            assert sent is not None
            sent.append(json_format.MessageToDict(answer))

        metadata = {name.lower(): value for name, value in headers.items()}
        incoming = calls.IncomingCall(metadata, partial(self._read, body), None)
        method, through = self._methods[name], self.backend.middleware
        outcome = (
            await through.stream(method, incoming, send)
            if isinstance(method, calls.Stream)
            else await through.unary(method, incoming)
        )
        if isinstance(outcome, status.Refused):
            proto = status.to_proto(outcome)
            return HTTP_STATUS[outcome.code], json_format.MessageToDict(proto)
        return 200, json_format.MessageToDict(outcome) if outcome else {}

    @staticmethod
    def _read(body: str, kind: type[message.Message]) -> bytes:
        try:
            return json_format.Parse(body, kind()).SerializeToString()
        except json_format.ParseError as error:
            raise message.DecodeError from error


def reason_in(answer: dict[str, Any]) -> str:
    return str(answer["details"][0]["reason"])


async def test_a_good_call() -> None:
    http = HttpAdapter()
    code, answer = await http.post("SubmitOrder", ORDER)
    assert (code, answer) == (200, {"orderId": "o-1", "state": "ORDER_STATE_PLACED"})
    [fact] = http.backend.bus.facts()
    assert isinstance(fact, OrderPlaced)
    assert (fact.merchant_id, fact.order_id, len(fact.trace_id)) == ("m1", "o-1", 32)
    code, answer = await http.post("GetOrder", '{"orderId": "o-1"}')
    assert (code, answer["order"]["lines"][0]["sku"]) == (200, "tea")


async def test_a_missing_and_a_wrong_key() -> None:
    http = HttpAdapter()
    for headers, reason in (({}, "API_KEY_MISSING"), ({"X-Api-Key": "no"}, "API_KEY_INVALID")):
        code, answer = await http.post("SubmitOrder", ORDER, headers)
        assert (code, reason_in(answer)) == (401, reason)
    assert not http.backend.bus.messages


async def test_an_invalid_request() -> None:
    http = HttpAdapter()
    code, answer = await http.post("SubmitOrder", "{}")
    assert (code, reason_in(answer)) == (400, "INVALID_ARGUMENT")
    assert answer["details"][1]["fieldViolations"][0]["field"] == "order"
    code, answer = await http.post("SubmitOrder", "no JSON")
    assert (code, reason_in(answer)) == (400, "MESSAGE_UNREADABLE")


async def test_a_card_number_behind_escapes() -> None:
    http = HttpAdapter()
    code, answer = await http.post("SubmitOrder", TEA % r"\u0034111 1111 1111 1111")
    assert (code, reason_in(answer)) == (400, "CARD_NUMBER_REFUSED")
    assert answer["details"][1]["fieldViolations"][0]["field"] == "order.note"


async def test_over_the_limit() -> None:
    http = HttpAdapter(options.Limits(calls_max=1, retry_after_s=2.5))
    with http.backend.bus.standing_still():
        waiting = asyncio.create_task(http.post("SubmitOrder", ORDER))
        await asyncio.sleep(0)
        code, answer = await http.post("GetOrder", '{"orderId": "o-1"}')
    assert (code, reason_in(answer)) == (429, "TOO_MANY_CALLS")
    assert answer["details"][1]["retryDelay"] == "2.500s"
    assert (await waiting)[0] == 200
    assert (await http.post("GetOrder", '{"orderId": "o-1"}'))[0] == 200


async def test_past_the_deadline() -> None:
    http = HttpAdapter(options.Limits(deadline_default_s=0.05))
    with http.backend.bus.standing_still():
        code, answer = await http.post("SubmitOrder", ORDER)
    assert (code, reason_in(answer)) == (504, "OUTCOME_PENDING")
    await http.backend.service.drain()


async def test_a_stream() -> None:
    http = HttpAdapter(options.Limits(watch_deadline_max_s=0.05))
    sent: list[Any] = []
    code, answer = await http.post("WatchOrder", '{"orderId": "o-1"}', sent=sent)
    assert (code, reason_in(answer), sent) == (404, "ORDER_NOT_FOUND", [])
    await http.post("SubmitOrder", ORDER)
    await http.backend.record_all()
    code, answer = await http.post("WatchOrder", '{"orderId": "o-1"}', sent=sent)
    assert [step["entry"]["version"] for step in sent] == ["1", "2"]
    assert (code, reason_in(answer)) == (504, "OUTCOME_PENDING")


async def test_any_error_becomes_a_typed_answer() -> None:
    http = HttpAdapter()
    http.backend.bus.is_away = True
    code, answer = await http.post("SubmitOrder", ORDER)
    assert (code, reason_in(answer)) == (503, "BROKER_UNAVAILABLE")
    http.backend.orders.views[ids.OrderRef("m1", "o-1")] = "not a view"  # type: ignore[assignment]
    code, answer = await http.post("GetOrder", '{"orderId": "o-1"}')
    assert (code, reason_in(answer)) == (500, "INTERNAL_ERROR")
