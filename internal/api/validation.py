"""Reads requests: bytes, card numbers, size, and the field rules that stand in the .proto files.

What passes obeys all of them. What does not is answered with the fields that are wrong; what a
field holds is never repeated.
"""

from typing import TypeVar

import protovalidate
from google.protobuf import message

from internal.api import card_numbers, options, status
from internal.wire.souk.v1 import order_pb2

M = TypeVar("M", bound=message.Message)

_validator = protovalidate.Validator()


def read(kind: type[M], raw: bytes, *, look_inside: bool) -> M | status.Refused:
    """Return the message in `raw`, or what is wrong with it.

    Only the bytes are read unless told to `look_inside`.
    """
    try:
        request = kind.FromString(raw)
    except message.DecodeError:
        text = f"the bytes are no {kind.DESCRIPTOR.full_name}"
        return status.invalid("MESSAGE_UNREADABLE", [("", text)])
    fault = fault_of(request, raw) if look_inside else None
    return fault or request


def fault_of(request: message.Message, raw: bytes, prefix: str = "") -> status.Refused | None:
    """Return what is wrong with `request`, serialized as `raw`. `prefix` leads every path."""
    held = card_numbers.find(raw, request)
    if held:
        what = "holds what looks like a card number; send the gateway's token instead"
        return status.invalid("CARD_NUMBER_REFUSED", [(prefix + path, what) for path in held])
    return rules_fault_of(request, prefix)


def rules_fault_of(request: message.Message, prefix: str = "") -> status.Refused | None:
    """Return which of the .proto's field rules `request` breaks."""
    broken = _validator.collect_violations(request)
    if broken:
        violations = [(prefix + _path_of(rule), rule.proto.message) for rule in broken]
        return status.invalid("INVALID_ARGUMENT", violations)
    return None


def size_fault_of(draft: order_pb2.OrderDraft, path: str) -> status.Refused | None:
    """Return what is wrong with the size of one order."""
    size = draft.ByteSize()
    if size <= options.ORDER_BYTES_MAX:
        return None
    what = f"{size} bytes; one order has at most {options.ORDER_BYTES_MAX}"
    return status.invalid("ORDER_TOO_LARGE", [(path, what)])


def _path_of(violation: protovalidate.Violation) -> str:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += f".{element.field_name}"
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return path.removeprefix(".")
