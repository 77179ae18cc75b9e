"""Regular expressions over a caller's text take time in proportion to it, whatever it is.

Shown by their form: a try that fails has read a limited number of characters, and a try that
succeeds goes on behind what it has read.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants as names  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import internal.api
import internal.kernel
from internal.infra import logs

Tree = Any
"""What the standard library's own parser makes of an expression."""
REPEATS = {names.MAX_REPEAT, names.MIN_REPEAT, names.POSSESSIVE_REPEAT}
LOOKS_AROUND = {names.ASSERT, names.ASSERT_NOT}


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Yield every compiled expression of the modules through which a caller's text passes."""
    modules = [logs]
    for package in (internal.api, internal.kernel):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        modules += [importlib.import_module(module.name) for module in found]
    for module in modules:
        for name, value in vars(module).items():
            values = value.values() if isinstance(value, dict) else [value]
            for one in values:
                if isinstance(one, re.Pattern):
                    yield f"{module.__name__}.{name}", one


def fault_of(tree: Tree, *, is_last: bool = True, is_inner: bool = False) -> str:
    """Return why an expression may take more than linear time; empty if it does not."""
    items = list(tree)
    for index, (operator, argument) in enumerate(items):
        ends_it = is_last and index == len(items) - 1
        if operator in REPEATS and argument[1] is names.MAXREPEAT and (is_inner or not ends_it):
            return "an unlimited repeat with something behind or around it"
        repeats = operator in REPEATS and argument[1] != 1
        inner = is_inner or operator in LOOKS_AROUND or repeats
        for part in parts_of(operator, argument):
            fault = fault_of(part, is_last=ends_it, is_inner=inner)
            if fault:
                return fault
    return ""


def parts_of(operator: object, argument: Tree) -> list[Tree]:
    if operator in REPEATS:
        return [argument[2]]
    if operator in LOOKS_AROUND:
        return [argument[1]]
    if operator is names.SUBPATTERN:
        return [argument[3]]
    if operator is names.BRANCH:
        return list(argument[1])
    return []


def test_every_expression_over_a_callers_text_is_linear() -> None:
    found = dict(patterns())
    assert {"internal.kernel.cards._RUN", "internal.api.card_numbers._RUN"} <= found.keys()
    assert {"internal.infra.logs.API_KEY", "internal.kernel.cards._HEX_ID"} <= found.keys()
    faults = {name: fault_of(parser.parse(it.pattern, it.flags)) for name, it in found.items()}
    assert not {name: fault for name, fault in faults.items() if fault}


@pytest.mark.parametrize(
    "pattern",
    [r"(?=[0-9\-]*[A-F])[0-9A-F]{24}", r"a*b", r"(?:a+)+", r"(a|b*c)d", r"x(?:[0-9]{1,3} *){3}"],
)
def test_one_that_is_not_linear_is_seen(pattern: str) -> None:
    assert fault_of(parser.parse(pattern))
