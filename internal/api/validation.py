"""Reads requests, and checks them: card numbers, and the field rules of the .proto files.

A request that breaks a rule is answered with the names of the wrong fields, never with their
values.
"""

import protovalidate
from google.protobuf import message

from internal.api import calls, card_numbers, status

_validator = protovalidate.Validator()


def read(
    kind: type[message.Message], read_as: calls.Read, *, checks: bool
) -> message.Message | status.Refused:
    """Return the request, or what is wrong with it: its encoding, or with `checks` its fields."""
    try:
        request, encoded = read_as(kind)
    except message.DecodeError:
        text = f"the bytes are not a {kind.DESCRIPTOR.full_name}"
        return status.invalid("MESSAGE_UNREADABLE", [("", text)])
    fault = fault_of(request, encoded) if checks else None
    return fault or request


def missing() -> status.Refused:
    """The caller has ended a call without a request."""
    return status.invalid("MESSAGE_UNREADABLE", [("", "no request came with this call")])


def fault_of(request: message.Message, encoded: bytes, prefix: str = "") -> status.Refused | None:
    """Return what is wrong with a message, or None.

    Args:
        request: the message.
        encoded: the same in protobuf's encoding.
        prefix: leads the path of every field.
    """
    found = card_numbers.find(encoded, request)
    if found:
        what = "holds what looks like a card number; send the gateway's token instead"
        return status.invalid("CARD_NUMBER_REFUSED", [(prefix + path, what) for path in found])
    return rules_fault_of(request, prefix)


def rules_fault_of(request: message.Message, prefix: str = "") -> status.Refused | None:
    """Return which of the .proto's field rules a message breaks, or None."""
    broken = _validator.collect_violations(request)
    if broken:
        violations = [(prefix + _path_of(rule), rule.proto.message) for rule in broken]
        return status.invalid("INVALID_ARGUMENT", violations)
    return None


def _path_of(violation: protovalidate.Violation) -> str:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += f".{element.field_name}"
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return path.removeprefix(".")
