"""Reads requests, and checks them: sizes, card numbers, and the field rules of the .proto files.

Sizes come first, so that no other check has more work than a valid request makes. A request that
breaks a rule is answered with the names of the wrong fields, never with their values.
"""

from google.protobuf import message

from internal.api import calls, card_numbers, field_rules, request_sizes, status

SMALL_BYTES = 4 * 1024
"""However so few bytes are spread over lists and texts, they are searched within 3 ms."""


def read(method: calls.Method, read_as: calls.Read) -> message.Message | bytes | status.Refused:
    """Return a method's request, or what is wrong with it; its bytes if the method reads itself."""
    try:
        encoded = read_as(method.request)
        if method.reads_itself:
            return encoded
        if len(encoded) > calls.REQUEST_BYTES_MAX:
            return method.too_large(len(encoded))
        request = method.request.FromString(encoded)
    except message.DecodeError:
        return unreadable(method.request)
    return fault_of(request, encoded) or request


def unreadable(kind: type[message.Message], path: str = "") -> status.Refused:
    """Bytes that are not in the encoding of their message."""
    text = f"the bytes are not a {kind.DESCRIPTOR.full_name}"
    return status.invalid("MESSAGE_UNREADABLE", [(path, text)])


def missing() -> status.Refused:
    """The caller has ended a call without a request."""
    return status.invalid("MESSAGE_UNREADABLE", [("", "no request came with this call")])


def fault_of(
    request: message.Message,
    encoded: bytes,
    prefix: str = "",
    told_max: int = status.VIOLATIONS_MAX,
) -> status.Refused | None:
    """Return what is wrong with a message, or None.

    Args:
        request: the message.
        encoded: the same in protobuf's encoding.
        prefix: leads the path of every field.
        told_max: how many violations are told at most.
    """
    if not card_numbers.is_clean(encoded):
        is_small = len(encoded) <= SMALL_BYTES
        too_long = [] if is_small else request_sizes.find(request, told_max)
        if too_long:
            return _invalid("INVALID_ARGUMENT", prefix, too_long)
        found = card_numbers.find(request, told_max)
        if found:
            what = "holds what looks like a card number; send the gateway's token instead"
            return _invalid("CARD_NUMBER_REFUSED", prefix, [(path, what) for path in found])
    return rules_fault_of(request, prefix, told_max)


def rules_fault_of(
    request: message.Message, prefix: str = "", told_max: int = status.VIOLATIONS_MAX
) -> status.Refused | None:
    """Return which of the .proto's field rules a message breaks, or None."""
    broken = field_rules.find(request, told_max)
    return _invalid("INVALID_ARGUMENT", prefix, broken) if broken else None


def _invalid(reason: str, prefix: str, found: list[field_rules.Violation]) -> status.Refused:
    return status.invalid(reason, [(prefix + path, what) for path, what in found])
