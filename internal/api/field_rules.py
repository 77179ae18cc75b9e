"""Checks the field rules of the .proto files (protovalidate), and stops at some violations.

The library counts every violation of a message or only the first, and one takes some 10 us. So the
first one is asked for; if there is one, the elements of lists are checked one by one until enough
are found.
"""

from collections.abc import Iterator
from itertools import islice

import protovalidate
from google.protobuf import descriptor, message

from internal.api import request_sizes

Violation = tuple[str, str]
"""(field path, what is wrong with it)."""

_validator = protovalidate.Validator()
_IN_AN_ELEMENT = "]."
"""Is in the path of a field of an element, and in no other."""


def find(request: message.Message, told_max: int) -> list[Violation]:
    """Return up to `told_max` violations: lists that are too long, else of any rule.

    Those of the message itself come before those of the elements of its lists.
    """
    first = _validator.collect_violations(request, fail_fast=True)
    if not first:
        return []
    too_long = request_sizes.find_lists(request, told_max)
    if too_long:
        return too_long
    found = list(islice(_violations(request), told_max))
    return found or [(path_of(first[0]), first[0].proto.message)]


def _violations(request: message.Message) -> Iterator[Violation]:
    """Yield those of the message itself, then those of its lists' elements."""
    short = type(request)()
    short.CopyFrom(request)
    _shorten_lists(short)
    for violation in _validator.collect_violations(short):
        path = path_of(violation)
        if _IN_AN_ELEMENT not in path:
            yield path, violation.proto.message
    for path, element in _elements(request):
        if _validator.collect_violations(element, fail_fast=True):
            yield from ((f"{path}.{inner}", what) for inner, what in _violations(element))


def _shorten_lists(request: message.Message) -> None:
    """Cut each list of messages to one element: enough for the rule that there is one."""
    for field, value in request.ListFields():
        if field.type == descriptor.FieldDescriptor.TYPE_MESSAGE:
            if field.is_repeated:
                del value[1:]
            else:
                _shorten_lists(value)


def _elements(request: message.Message, path: str = "") -> Iterator[tuple[str, message.Message]]:
    """Yield (path, element) of each list of messages."""
    for field, value in request.ListFields():
        if field.type == descriptor.FieldDescriptor.TYPE_MESSAGE:
            if field.is_repeated:
                yield from ((f"{path}{field.name}[{at}]", item) for at, item in enumerate(value))
            else:
                yield from _elements(value, f"{path}{field.name}.")


def path_of(violation: protovalidate.Violation) -> str:
    """Return the path of the field that breaks a rule."""
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += f".{element.field_name}"
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    return path.removeprefix(".")
