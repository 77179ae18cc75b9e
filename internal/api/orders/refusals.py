"""The refusals that are about orders. The general ones are in api/status.py."""

from internal.api import status
from internal.kernel import cards
from internal.pricing.messages import Refusal


def not_found(order_id: str) -> status.Refused:
    """This merchant has no such order; another merchant may have one."""
    text = f"there is no order {order_id}"
    return status.Refused(status.Code.NOT_FOUND, "ORDER_NOT_FOUND", text, {"order_id": order_id})


def payment_not_found(order_id: str, tender_ref: str) -> status.Refused:
    """The order has no such tender."""
    text = f"the order {order_id} has no tender {tender_ref}"
    metadata = {"order_id": order_id, "tender_ref": tender_ref}
    return status.Refused(status.Code.NOT_FOUND, "PAYMENT_NOT_FOUND", text, metadata)


def too_large(size_bytes: int, max_bytes: int, path: str) -> status.Refused:
    """One order takes too many bytes."""
    what = f"{size_bytes} bytes; one order has at most {max_bytes}"
    return status.invalid("ORDER_TOO_LARGE", [(path, what)])


def order_id_reused(order_id: str) -> status.Refused:
    """The order id is taken by an order with another body."""
    text = f"another order stands under the id {order_id}; it is untouched"
    return _reused("ORDER_ID_REUSED", text, {"order_id": order_id})


def request_id_reused(request_id: str) -> status.Refused:
    """The request id is taken by a request with other contents."""
    text = f"another request stands under the id {request_id}; its outcome is unchanged"
    return _reused("REQUEST_ID_REUSED", text, {"request_id": request_id})


def share_used(retry_after_s: float) -> status.Refused:
    """This merchant has as many calls that wait or watch as are left for all others."""
    text = "this merchant's other calls that wait or watch use up its share; end some of them"
    return status.overloaded("MERCHANT_SHARE_USED", text, retry_after_s)


def too_many_waiting(most: int, retry_after_s: float) -> status.Refused:
    """This merchant has sent very many requests about orders that have not come."""
    text = f"{most} requests of this merchant wait for orders that have not come"
    return status.overloaded("TOO_MANY_WAITING", text, retry_after_s)


def command_refused(reason: str, order_id: str, state: str, what: str) -> status.Refused:
    """The order is in a state in which it cannot take a command; `what` may name a product."""
    text = status.shortened(what, cards.FieldKind.PRODUCT_CODE)
    metadata = {"order_id": order_id, "state": state}
    return status.Refused(status.Code.FAILED_PRECONDITION, reason, text, metadata)


def not_priced(refusal: Refusal) -> status.Refused:
    """The order cannot be priced; the pricing rules say why, and may name a product."""
    text = status.shortened(refusal.explanation, cards.FieldKind.PRODUCT_CODE)
    return status.Refused(status.Code.FAILED_PRECONDITION, refusal.reason, text)


def _reused(reason: str, text: str, metadata: dict[str, str]) -> status.Refused:
    return status.Refused(status.Code.ALREADY_EXISTS, reason, text, metadata)
