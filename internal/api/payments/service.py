"""The methods of souk.v1.PaymentService: tenders of open orders.

AddTender is a command about an order, so it is sent, repeated and refused like one; its answer is
the tender as it is recorded. Must not know gRPC.
"""

from collections.abc import Callable

from internal.api import calls, status
from internal.api.orders import commands, from_wire, refusals, service, to_wire, watch
from internal.flow import topics
from internal.kernel import ids, money
from internal.kernel.states import ChargeState, OrderState
from internal.orders import messages
from internal.orders import rules as order_rules
from internal.privacy.messages import Private
from internal.views.order import OrderView
from internal.wire.souk.v1 import order_service_pb2
from internal.wire.souk.v1 import payment_service_pb2 as wire

NAME = wire.DESCRIPTOR.services_by_name["PaymentService"].full_name
UNDECIDED = frozenset({ChargeState.NONE, ChargeState.PENDING, ChargeState.UNKNOWN})
"""The states of a tender whose outcome AddTender waits for."""


def added(request: wire.AddTenderRequest, origin: calls.Origin) -> messages.Asked:
    """Return the fact of a validated request, with its private half: the token.

    A tender without a name is named like its request.

    Raises:
        InvalidMoney: an amount is not in the currency, or cannot be expressed in it.
        InvalidInput: the tender is of no known kind.
    """
    currency = request.currency
    money.exponent_of(currency, "currency")
    tender = from_wire.tender_of(request.tender, currency, "tender", request.request_id)
    private = Private(tokens=from_wire.tokens_of([request.tender], [tender]))
    unstamped = messages.AddTender(
        merchant_id=origin.merchant_id,
        order_id=request.order_id,
        request_id=request.request_id,
        body_hash="",
        requested_at_us=0,
        currency=currency,
        tender=tender,
    )
    return from_wire.asked(unstamped, private, origin)


ADD_TENDER = commands.Command(
    request=wire.AddTenderRequest,
    response=order_service_pb2.CancelOrderResponse,
    fact=messages.AddTender,
    from_wire=added,
    too_late=order_rules.NOT_OPEN,
    cannot="take this tender",
    needs_order=True,
)


class PaymentService:
    """One instance serves all calls, whichever adapter they come through."""

    def __init__(self, shared: service.Shared) -> None:
        self._commander, self._loader = shared.commander, shared.loader
        self._follower = shared.follower

    def methods(self) -> list[calls.Method]:
        """Return every method of the service."""
        return [
            calls.Unary("AddTender", wire.AddTenderRequest, self.add_tender),
            calls.Unary("GetPayment", wire.GetPaymentRequest, self.get_payment),
        ]

    async def add_tender(self, call: calls.Call, request: wire.AddTenderRequest) -> calls.Answer:
        """Add a tender; answer with its outcome, or with its state when time is up."""
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        tender_ref = request.tender.tender_ref or request.request_id
        answer = await self._commander.run(ADD_TENDER, call, request)
        if isinstance(answer, status.Refused):
            return answer
        known = await self._wait(ref, lambda order: _is_decided(order, tender_ref), call)
        payment = _payment(known, tender_ref)
        if payment is None:
            return status.pending()
        replayed = isinstance(answer, order_service_pb2.CancelOrderResponse) and answer.replayed
        return wire.AddTenderResponse(payment=payment, replayed=replayed)

    async def _wait(
        self, ref: ids.OrderRef, is_there: Callable[[watch.Recorded], bool], call: calls.Call
    ) -> watch.Known:
        """Return the order once `is_there`, or as it is when time is up or no place is left."""
        with self._follower.listen(ref, topics.OUTCOMES) as listener:
            if listener is None:
                return await self._follower.try_get(ref)
            return await listener.until(is_there, call.answer_by_s, look_at_once=True)

    async def get_payment(self, call: calls.Call, request: wire.GetPaymentRequest) -> calls.Answer:
        """Return one tender of an order."""
        ref = ids.OrderRef(call.origin.merchant_id, request.order_id)
        known = await self._loader.get(ref)
        if known is None:
            return refusals.not_found(request.order_id)
        payment = _payment(known, request.tender_ref)
        if payment is None:
            return refusals.payment_not_found(request.order_id, request.tender_ref)
        return wire.GetPaymentResponse(payment=payment)


def _is_decided(order: watch.Recorded, tender_ref: str) -> bool:
    """Tell whether the outcome of a tender is known; of an order that has ended it is."""
    if not isinstance(order, OrderView):
        return False
    states = {it.tender.tender_ref: it.state for it in order.tenders}
    return watch.is_ended(order) or states.get(tender_ref, ChargeState.NONE) not in UNDECIDED


def _payment(known: watch.Known, tender_ref: str) -> wire.Payment | None:
    """Return a tender of a recorded order; None if there is no such tender."""
    if not isinstance(known, OrderView):
        return None
    for it in known.tenders:
        if it.tender.tender_ref == tender_ref:
            left = to_wire.money_of(known.left_minor, known.currency)
            is_open = known.state is OrderState.ACCEPTED and known.hold_until_us > 0
            return wire.Payment(
                order_id=known.order_id,
                tender=to_wire.tender_of(it, known.currency, known.attempts),
                order_state=to_wire.state_of(known.state),
                order_charge_state=f"CHARGE_STATE_{known.charge_state}",
                order_version=known.version,
                left_to_pay=left if is_open else None,
            )
    return None
