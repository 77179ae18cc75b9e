"""The API server's dependencies in memory: a bus, orders, API keys, prices and a backlog.

Small but true: messages are encoded and decoded, orders move through their legal states, and each
part can be away. Knows no gRPC: see grpc_fixture.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from internal.api import authentication, middleware, options
from internal.api.orders import ports, service
from internal.flow import topics
from internal.infra import bus
from internal.kernel import errors, ids, states
from internal.kernel.clock import ManualClock
from internal.kernel.facts import Fact
from internal.kernel.quantities import MILLI
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.kernel.unit_prices import UnitPrice
from internal.orders import codec, messages
from internal.orders.messages import LogStage, OrderPlaced
from internal.payments.messages import Attempt, AttemptState, Captured, Operation
from internal.payments.order_tenders import TenderRecord
from internal.pipeline import envelope
from internal.pricing.messages import PricedLine, PricedOrder, PriceRequest, Refusal
from internal.privacy.messages import NOTHING, Private
from internal.requests.messages import Request, RequestKey, RequestState, SubjectKind
from internal.views.order import OrderView, TimelineEntry
from internal.views.order_list import Filter, Listing, OrderSummary, Page
from internal.wire.souk.v1 import order_pb2 as o

F = TypeVar("F", bound=messages.Fact)
MERCHANT, OTHER = "m1", "m2"
Metadata = tuple[tuple[str, str], ...]
AUTH: Metadata = (("authorization", "Bearer key-of-m1"),)
AUTH_OTHER: Metadata = (("x-api-key", "key-of-m2"),)
KEYS = {"key-of-m1": MERCHANT, "key-of-m2": OTHER}
PRICES = {"tea": 350, "rose": 1_200}


class MemoryTail:
    """A reader that gets what is published from now on, if wanted."""

    def __init__(self, topics: Iterable[str], wants: bus.Wants) -> None:
        self.topics, self._wants = set(topics), wants
        self._queue: asyncio.Queue[bus.Delivery] = asyncio.Queue()

    def offer(self, message: bus.Outgoing) -> None:
        if message.topic in self.topics and self._wants(message.topic, message.key):
            delivery = bus.Delivery(message.topic, "", message.key, message.payload, {})
            self._queue.put_nowait(delivery)

    async def receive(self, messages_max: int) -> list[bus.Delivery]:
        found = [await self._queue.get()]
        while not self._queue.empty() and len(found) < messages_max:
            found.append(self._queue.get_nowait())
        return found

    async def acknowledge(self, deliveries: Sequence[bus.Delivery]) -> None:
        """Redeliver nothing."""

    async def close(self) -> None:
        self.topics.clear()


class MemoryBus:
    """A broker that can hold receipts back (`standing_still`) and be away (`is_away`)."""

    shard_keys = 16

    def __init__(self) -> None:
        self.messages: list[bus.Outgoing] = []
        self.batches: list[int] = []
        self.tails: list[MemoryTail] = []
        self.is_away = False
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self._published = asyncio.Event()

    async def publish(self, messages: Sequence[bus.Outgoing]) -> None:
        await self._may_answer.wait()
        await asyncio.sleep(0)
        if self.is_away:
            raise errors.BusAway("in this test")
        self.messages += messages
        self.batches.append(sum(int(message.properties["orders"]) for message in messages))
        for message in messages:
            for tail in self.tails:
                tail.offer(message)
        self._published.set()

    async def first(self, kind: type[F], order_id: str = "") -> F:
        """Wait until a fact of this kind was published, for this order if named; return it."""
        while True:
            for fact in self.facts():
                if isinstance(fact, kind) and order_id in {"", fact.order_id}:
                    return fact
            self._published.clear()
            await self._published.wait()

    async def tail(self, topics: Sequence[str], wants: bus.Wants = bus.everything) -> MemoryTail:
        tail = MemoryTail(topics, wants)
        self.tails.append(tail)
        return tail

    def facts(self) -> list[Fact]:
        """Return every fact on every topic, in the order of publishing."""
        opened = [it.fact for it in self.opened()]
        return [fact for fact in opened if not isinstance(fact, errors.Poison)]

    def opened(self) -> list[envelope.Opened]:
        """Return every fact with its private half, in the order of publishing."""
        return [it for message in self.messages for it in topics.ENVELOPE.open(message.payload)]

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Give no receipts for a while."""
        self._may_answer.clear()
        yield
        self._may_answer.set()


class MemoryOrders:
    """Recorded orders. `record` and `move` do what the stages do; `stages` does it by itself."""

    def __init__(self, broker: MemoryBus) -> None:
        self._bus = broker
        self.views: dict[ids.OrderRef, OrderView] = {}
        self.requests: dict[RequestKey, Request] = {}
        self.is_away = False
        self.reads = self.whole_reads = 0

    async def find(self, refs: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, ports.RecordedOrder]:
        self._read()
        return {
            ref: ports.RecordedOrder(view.body_hash, view.state, view.version)
            for ref in refs
            if (view := self.views.get(ref))
        }

    async def get_many(self, refs: Sequence[ids.OrderRef]) -> list[OrderView]:
        self._read()
        self.whole_reads += 1
        await asyncio.sleep(0)
        return [self.views[ref] for ref in refs if ref in self.views]

    async def find_commands(
        self, refs: Sequence[ports.CommandRef]
    ) -> dict[ports.CommandRef, ports.KnownCommand]:
        orders = await self.find([ref.order for ref in refs])
        return {
            ref: ports.KnownCommand(orders.get(ref.order), self.requests.get(ref.request))
            for ref in refs
        }

    async def count_waiting(self, merchant_id: str, most: int) -> int:
        self._read()
        found = self.requests.values()
        waiting = [it for it in found if it.state is RequestState.WAITING]
        return min(most, sum(it.merchant_id == merchant_id for it in waiting))

    async def list_page(
        self, merchant_id: str, wanted: Filter, page: Page | None, orders_max: int
    ) -> Listing:
        self._read()
        found = [
            view
            for view in self.views.values()
            if view.merchant_id == merchant_id
            and (not wanted.states or view.state in wanted.states)
            and (not wanted.store_id or view.store_id == wanted.store_id)
            and view.placed_at_us >= (wanted.placed_from_us or 0)
            and (wanted.placed_before_us is None or view.placed_at_us < wanted.placed_before_us)
            and (page is None or _position(view) < (page.placed_at_us, page.order_key))
        ]
        found.sort(key=_position, reverse=True)
        is_more = len(found) > orders_max
        page = Page(*_position(found[orders_max - 1])) if is_more else None
        return Listing(tuple(map(summary, found[:orders_max])), page)

    def _read(self) -> None:
        self.reads += 1
        if self.is_away:
            raise errors.DatabaseAway("in this test")

    def record(self, fact: OrderPlaced, private: Private = NOTHING) -> OrderView:
        """Accept an order, as the order stage does; one recorded before stays as it is."""
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        if ref not in self.views:
            view = _accepted(fact, len(self.views) + 1)
            self.views[ref] = msgspec.structs.replace(
                view,
                note=private.note,
                timeline=(
                    TimelineEntry(
                        LogStage.INTAKE, "placed", 1, OrderState.PLACED, "", fact.placed_at_us, fact
                    ),
                    _entry(LogStage.ORDER, "placed", view, fact),
                ),
            )
        return self.views[ref]

    def move(self, ref: ids.OrderRef, state: OrderState, reason: str = "") -> OrderView:
        """Take an order one step further, as the later stages do."""
        before = self.views[ref]
        assert states.may_move(before.state, state)
        if state is OrderState.PAID and before.tenders:
            before = _paid(before)
        after = msgspec.structs.replace(
            before,
            state=state,
            version=before.version + 1,
            reason=reason,
            explanation=reason.lower(),
            receipt_no=before.order_key if state is OrderState.FINALIZED else None,
            charge_state=ChargeState.FULL if state is OrderState.PAID else before.charge_state,
            next_commands=(),
        )
        entry = _entry(LogStage.PAYMENT, state, after, _fact(after, state), reason)
        after = msgspec.structs.replace(after, timeline=(*before.timeline, entry))
        self.views[ref] = after
        return after

    def note(self, request: messages.CancelRequested, status: str = "") -> None:
        """Record the outcome of a cancel request; it waits if its order is not recorded."""
        ref = ids.OrderRef(request.merchant_id, request.order_id)
        view = self.views.get(ref)
        if view and not status:
            view = msgspec.structs.replace(
                view, state=OrderState.CANCELLED, version=view.version + 1
            )
            fact = _fact(view, OrderState.CANCELLED, request)
            entry = _entry(LogStage.CANCEL, request.request_id, view, fact)
            self.views[ref] = msgspec.structs.replace(view, timeline=(*view.timeline, entry))
        answer = messages.CommandAnswer(view.state, view.version) if view else None
        recorded = Request(
            merchant_id=request.merchant_id,
            method=request.method,
            request_id=request.request_id,
            body_hash=request.body_hash,
            subject_kind=SubjectKind.ORDER,
            subject=request.order_id,
            state=RequestState.DONE if view else RequestState.WAITING,
            status=status,
            answer=codec.encode_answer(answer) if answer else "",
            at_us=request.requested_at_us,
        )
        self.requests[recorded.key] = recorded

    async def stages(self) -> None:
        """Take every order to its end, and every cancellation to its outcome, until cancelled."""
        placed = await self._bus.tail(topics.ORDER.topics)
        while True:
            for delivery in await placed.receive(1_000):
                for fact, _, private in topics.ENVELOPE.open(delivery.payload):
                    await self._process(fact, private)

    async def _process(self, fact: Fact | errors.Poison, private: Private) -> None:
        if isinstance(fact, messages.CancelRequested):
            await self._cancel(fact)
        if not isinstance(fact, OrderPlaced):
            return
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        self.record(fact, private)
        await self.tell(ref, topics.ACCEPTED)
        for state, topic in (
            (OrderState.PAID, topics.PAID),
            (OrderState.FINALIZED, topics.FINALIZED),
        ):
            await asyncio.sleep(0.001)
            if states.may_move(self.views[ref].state, state):
                self.move(ref, state)
                await self.tell(ref, topic)

    async def _cancel(self, request: messages.CancelRequested) -> None:
        ref = ids.OrderRef(request.merchant_id, request.order_id)
        key = RequestKey(request.merchant_id, request.method, request.request_id)
        if key in self.requests:
            return
        view = self.views.get(ref)
        late = view is not None and not states.may_move(view.state, OrderState.CANCELLED)
        self.note(request, "ORDER_NOT_CANCELLABLE" if late else "")
        if view and not late:
            await self.tell(ref, topics.REJECTED)

    async def tell(self, ref: ids.OrderRef, topic: str) -> None:
        """Publish what the stages publish about an order's newest step."""
        fact = self.views[ref].timeline[-1].fact
        key = ids.shard_of(*ref, self._bus.shard_keys)
        message = bus.Outgoing(topic, key, envelope.encode([fact]), {"orders": "1"})
        await self._bus.publish([message])


def summary(view: OrderView) -> OrderSummary:
    """Return an order in one line."""
    names = set(OrderSummary.__struct_fields__) - {"is_priced"}
    return OrderSummary(**{name: getattr(view, name) for name in names}, is_priced=bool(view.lines))


def _position(view: OrderView) -> tuple[int, int]:
    return view.placed_at_us, view.order_key


def _entry(
    stage: str, event: str, view: OrderView, fact: messages.Fact, reason: str = ""
) -> TimelineEntry:
    return TimelineEntry(stage, event, view.version, view.state, reason, view.updated_at_us, fact)


def _accepted(fact: OrderPlaced, order_key: int) -> OrderView:
    lines = tuple(
        PricedLine(
            line_no=number,
            sku=line.sku,
            name=line.sku.title(),
            line_ref=line.line_ref or str(number),
            location_id=fact.store_id,
            quantity_milli=line.quantity_milli,
            unit_price=UnitPrice(PRICES.get(line.sku, 100)),
            gross_minor=line.quantity_milli * PRICES.get(line.sku, 100) // MILLI,
            discount_minor=0,
            tax_minor=0,
            total_minor=line.quantity_milli * PRICES.get(line.sku, 100) // MILLI,
            parts=(),
        )
        for number, line in enumerate(fact.lines, start=1)
    )
    total_minor = sum(line.total_minor for line in lines)
    return OrderView(
        order_key=order_key,
        merchant_id=fact.merchant_id,
        order_id=fact.order_id,
        store_id=fact.store_id,
        terminal_id=fact.terminal_id,
        body_hash=fact.body_hash,
        state=OrderState.ACCEPTED,
        charge_state=ChargeState.NONE,
        stock_state=StockState.RESERVED,
        version=2,
        currency=fact.currency,
        gross_minor=total_minor,
        discount_minor=0,
        net_minor=total_minor,
        tax_minor=0,
        total_minor=total_minor,
        reason="",
        explanation="",
        receipt_no=None,
        channel=fact.channel,
        customer_id=fact.customer_id,
        shift_id=fact.shift_id,
        cashier_id=fact.cashier_id,
        sold_at_us=fact.sale_at_us,
        business_day=19_700_101,
        placed_at_us=fact.placed_at_us,
        updated_at_us=fact.placed_at_us + 1,
        due_at_us=None,
        trace_id=fact.trace_id,
        lines=lines,
        taxes=(),
        tenders=tuple(
            TenderRecord(tender_no=number, tender=tender)
            for number, tender in enumerate(fact.tenders, start=1)
        ),
        attempts=(),
        timeline=(),
        next_commands=("CancelOrder",),
    )


def _paid(view: OrderView) -> OrderView:
    """Pay an order with its first tender."""
    paid = msgspec.structs.replace(
        view.tenders[0], state=ChargeState.FULL, captured_minor=view.total_minor
    )
    sale = Attempt(
        order_key=view.order_key,
        attempt_no=1,
        operation=Operation.SALE,
        tender_no=1,
        asked_minor=view.total_minor,
        currency=view.currency,
        key=f"{view.merchant_id}/{view.order_id}/1",
        state=AttemptState.SUCCEEDED,
        gateway_reference="gw-1",
    )
    return msgspec.structs.replace(view, tenders=(paid, *view.tenders[1:]), attempts=(sale,))


def _fact(
    view: OrderView, state: OrderState, request: messages.CancelRequested | None = None
) -> messages.Fact:
    common: dict[str, Any] = {
        "order_key": view.order_key,
        "merchant_id": view.merchant_id,
        "order_id": view.order_id,
        "store_id": view.store_id,
        "version": view.version,
        "at_us": view.updated_at_us,
        "placed_at_us": view.placed_at_us,
    }
    if state is OrderState.PAID:
        names = set(view.__struct_fields__) & set(messages.OrderPaid.__struct_fields__)
        amounts = {name: getattr(view, name) for name in names if name.endswith("_minor")}
        captured = tuple(Captured(t.tender.kind, view.total_minor, "gw-1") for t in view.tenders)
        return messages.OrderPaid(
            **common, **amounts, currency=view.currency, lines=(), taxes=(), captured=captured
        )
    if state is OrderState.FINALIZED:
        return messages.OrderFinalized(
            **common, currency=view.currency, total_minor=view.total_minor, receipt_no=1
        )
    if state is OrderState.CANCELLED and request:
        return messages.OrderCancelled(**common, request_id=request.request_id)
    return messages.OrderRejected(**common, stage="test", reason=view.reason, explanation="no")


class MemoryKeys:
    """API keys."""

    def __init__(self) -> None:
        self.keys = dict(KEYS)
        self.is_away = False
        self.reads = 0

    async def merchant_of(self, key: str) -> str | None:
        self.reads += 1
        if self.is_away:
            raise errors.DatabaseAway("in this test")
        return self.keys.get(key)


class MemoryPrices:
    """Quotes without tax."""

    async def quote(self, request: PriceRequest) -> PricedOrder | Refusal:
        unknown = [line.sku for line in request.lines if line.sku not in PRICES]
        if unknown:
            return Refusal("UNKNOWN_SKU", f"{unknown[0]} is not in the catalogue")
        placed = OrderPlaced(
            request.merchant_id, "q", request.store_id, request.currency, request.lines, (), "", 0
        )
        view = _accepted(placed, 1)
        names = set(view.__struct_fields__) & set(messages.OrderPaid.__struct_fields__)
        amounts = {name: getattr(view, name) for name in names if name.endswith("_minor")}
        return PricedOrder(currency=request.currency, lines=view.lines, taxes=(), **amounts)


class MemoryBacklog:
    """Two numbers."""

    def __init__(self) -> None:
        self.waiting = self.waiting_later = 0
        """Orders before the first stage, and before the others."""

    def orders(self) -> int:
        return self.waiting + self.waiting_later

    def unrecorded(self) -> int:
        return self.waiting


class Backend:
    """All of them, and the order service on top."""

    def __init__(self, limits: options.Limits) -> None:
        self.bus = MemoryBus()
        self.orders = MemoryOrders(self.bus)
        self.keys = MemoryKeys()
        self.backlog = MemoryBacklog()
        self.clock = ManualClock()
        dependencies = service.Dependencies(
            bus=self.bus,
            recorded=self.orders,
            views=self.orders,
            quoter=MemoryPrices(),
            backlog=self.backlog,
        )
        self.service = service.OrderService(dependencies, limits)
        keys = authentication.CachedAuthenticator(self.keys, limits)
        self.middleware = middleware.Middleware(keys, self.clock, limits)

    async def record_all(self) -> None:
        """Record every order that was published."""
        for fact, _, private in self.bus.opened():
            if isinstance(fact, OrderPlaced):
                self.orders.record(fact, private)


def draft(order_id: str = "o-1", **others: object) -> o.OrderDraft:
    """Return a valid draft."""
    values: dict[str, object] = {
        "order_id": order_id,
        "store_id": "s-1",
        "currency": "EUR",
        "lines": [o.DraftLine(sku="tea", quantity_milli=2_000)],
        "tenders": [o.Tender(cash=o.CashTender())],
    }
    return o.OrderDraft(**(values | others))  # type: ignore[arg-type]
