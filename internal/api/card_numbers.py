"""Finds card numbers in any field of a request, before anything else reads it.

The request's bytes are searched first, which clears nearly every request in a few microseconds.
Only a suspicious one is searched field by field. The number itself is never repeated.
"""

import re
from collections.abc import Iterator
from itertools import islice

from google.protobuf import descriptor, message

from internal.kernel import cards

_BREAK = rb"(?:[ \-\t]|\xc2\xa0|\xe2[\x80\x88].)?"
_RUN = re.compile(rb"[0-9](?:" + _BREAK + rb"[0-9]){%d}" % (cards.DIGITS_MIN - 1), re.DOTALL)
_LEADS_A_DIGIT = b"\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0"
"""First UTF-8 bytes of the decimal digits beyond ASCII."""
_ALL_BUT_DIGITS = bytes(set(range(256)) - set(b"0123456789" + _LEADS_A_DIGIT))


def find(request: message.Message, told_max: int) -> list[str]:
    """Return the paths of up to `told_max` fields that hold a card number."""
    held = (
        path
        for path, name, text in _texts(request)
        if cards.find_card_number(text, cards.kind_of(name))
    )
    return list(islice(held, told_max))


def is_clean(encoded: bytes) -> bool:
    """Tell whether no string within the bytes of a request can hold a card number."""
    candidates = encoded.translate(None, _ALL_BUT_DIGITS)
    if len(candidates) < cards.DIGITS_MIN:
        return True
    return candidates.isdigit() and _RUN.search(encoded) is None


def _texts(request: message.Message) -> Iterator[tuple[str, str, str]]:
    """Yield (path, name, text) of every string field, at any depth."""
    for field, value in request.ListFields():
        values = enumerate(value) if field.is_repeated else [(None, value)]
        for index, item in values:
            path = field.name if index is None else f"{field.name}[{index}]"
            if field.type == descriptor.FieldDescriptor.TYPE_STRING:
                yield path, field.name, item
            elif field.type == descriptor.FieldDescriptor.TYPE_MESSAGE:
                inner = _texts(item)
                yield from ((f"{path}.{below}", name, text) for below, name, text in inner)
