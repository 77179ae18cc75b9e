"""Finds lists and texts of a request that are longer than the .proto's rules allow.

This comes before any work that grows with a list or a text. It reads nothing but lengths, and does
not enter a list that is too long.
"""

import functools
from collections.abc import Iterator
from itertools import islice
from typing import Any

from google.protobuf import descriptor, message

from internal.wire.buf.validate import validate_pb2

CHARS_MAX = 128
"""For texts without a max_len of their own; their patterns allow no more."""
ITEMS_MAX = 1_000
"""For lists without a max_items of their own. A test demands one of each."""

Field = descriptor.FieldDescriptor
TooLong = tuple[str, str]
"""(path, what is wrong with it)."""


def find(request: message.Message, told_max: int) -> list[TooLong]:
    """Return up to `told_max` lists and texts that are too long; no text if a list is."""
    return find_lists(request, told_max) or list(islice(_long_texts(request), told_max))


def find_lists(request: message.Message, told_max: int) -> list[TooLong]:
    """Return up to `told_max` lists that are too long."""
    return list(islice(_long_lists(request), told_max))


@functools.cache
def items_max(field: Field) -> int:
    """Return how many items a list may have."""
    return _rules_of(field).repeated.max_items or ITEMS_MAX


@functools.cache
def chars_max(field: Field) -> int:
    """Return how many characters a text may have."""
    return _rules_of(field).string.max_len or CHARS_MAX


def _rules_of(field: Field) -> validate_pb2.FieldRules:
    extensions = field.GetOptions().Extensions
    return extensions[validate_pb2.field]  # type: ignore[index]  # generated without its type


def _long_lists(request: message.Message) -> Iterator[TooLong]:
    for field, value in request.ListFields():
        if field.is_repeated and len(value) > items_max(field):
            yield field.name, f"must contain no more than {items_max(field)} item(s)"
        elif field.message_type and _has_lists(field.message_type):
            for path, inner in _items(field, value):
                yield from ((f"{path}.{below}", what) for below, what in _long_lists(inner))


@functools.cache
def _has_lists(kind: descriptor.Descriptor) -> bool:
    """Tell whether a message has a list, at any depth; most lists hold messages without one."""
    return any(
        field.is_repeated or (field.message_type is not None and _has_lists(field.message_type))
        for field in kind.fields
    )


def _long_texts(request: message.Message) -> Iterator[TooLong]:
    for field, value in request.ListFields():
        if field.message_type:
            for path, inner in _items(field, value):
                yield from ((f"{path}.{below}", what) for below, what in _long_texts(inner))
        elif field.type == Field.TYPE_STRING:
            for path, text in _items(field, value):
                if len(text) > chars_max(field):
                    yield path, f"must be at most {chars_max(field)} characters"


def _items(field: Field, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as the field is
    """Yield (path, item) of a list, or the one value of another field."""
    if field.is_repeated:
        yield from ((f"{field.name}[{index}]", item) for index, item in enumerate(value))
    else:
        yield field.name, value
