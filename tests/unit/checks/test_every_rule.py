"""Every rule of every invariant is shown to break; docs/invariants.md says by which test."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tests.unit.checks import corruptions

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/invariants.md"
SOURCES = (*sorted((ROOT / "internal/checks").glob("*.py")), ROOT / "internal/lab/chaos/audit.py")
INVARIANTS = {f"I{number}" for number in range(1, 14)}
HERE = "tests/unit/checks"
AUDIT = "tests/unit/lab/chaos/test_audit.py"

ELSEWHERE = {
    "an order that was answered OK is recorded": (
        f"{HERE}/test_invariants.py::test_a_missing_order_is_found"
    ),
    "an order that was answered OK comes to its end": (
        f"{HERE}/test_invariants.py::test_an_unfinished_order_is_found"
    ),
    "an order without an answer comes to its end, too, if it exists": (
        f"{AUDIT}::test_order_without_an_answer_must_end"
    ),
    "an order comes to the end that is expected of it": f"{AUDIT}::test_unexpected_end_is_found",
    "every recorded order was answered OK or left without an answer": (
        f"{AUDIT}::test_order_that_no_client_was_told_of_is_found"
    ),
    "an order is recorded with the lines that were sent": f"{AUDIT}::test_other_lines_are_found",
    "the gateway holds money that no attempt knows of": (
        f"{HERE}/test_invariants.py::test_a_capture_without_an_attempt_is_found"
    ),
    "the gateway and the attempts agree on what is captured": (
        f"{HERE}/test_invariants.py::test_another_amount_at_the_gateway_is_found"
    ),
    "the gateway captured a tender once at most": (
        f"{HERE}/test_invariants.py::test_a_second_capture_at_the_gateway_is_found"
    ),
    "a tender at the gateway that waits for no answer holds what its attempts captured": (
        f"{HERE}/test_tenders.py::test_a_tender_that_its_attempts_contradict_is_found"
    ),
    "debits equal credits, per merchant and currency": (
        f"{HERE}/test_invariants.py::test_an_unbalanced_transaction_unbalances_its_merchant"
    ),
    "a sealed day has the entries that it was sealed with": (
        f"{HERE}/test_seals.py::test_a_change_of_a_sealed_day_is_found_by_a_check_of_everything"
    ),
    "a good order never becomes a dead letter": (
        f"{AUDIT}::test_letters_are_those_that_were_expected"
    ),
    "a message that no stage can read becomes a dead letter": (
        f"{AUDIT}::test_letters_are_those_that_were_expected"
    ),
    "a client gets no unexpected answer": f"{AUDIT}::test_unexpected_answer_is_found",
    "an order stays at the end that a client was told": (
        f"{AUDIT}::test_end_that_a_client_was_told_must_stay"
    ),
    "nothing is left unacknowledged": f"{HERE}/test_invariants.py::test_a_backlog_is_found",
    "no card number or secret is in the database": (
        f"{HERE}/test_invariants.py::test_a_canary_is_found_in_any_column"
    ),
}
"""Tests of rules that need more than a corrupted database, by the rule's sentence."""


class Rule(NamedTuple):
    """A rule as a check tells it."""

    invariant: str
    sentence: str


@lru_cache(maxsize=1)
def rules() -> list[Rule]:
    """Return every rule that a check may report, as the sources have them."""
    found = {rule for path in SOURCES for rule in rules_in(ast.parse(path.read_text()))}
    return sorted(found, key=lambda rule: (int(rule.invariant[1:]), rule.sentence))


def rules_in(tree: ast.Module) -> Iterator[Rule]:
    """Yield the rules that a module declares, collects or yields."""
    names = dict(constants(tree))
    collected = {
        call.args[0].value
        for call in calls(tree, "Collector")
        if isinstance(call.args[0], ast.Constant)
    }
    for name in ("Rule", "found"):
        for call in calls(tree, name):
            if len(call.args) > 1 and isinstance(call.args[0], ast.Constant):
                yield Rule(str(call.args[0].value), text_of(call.args[1], names))
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        here = {
            c.args[0].value
            for c in calls(function, "Collector")
            if isinstance(c.args[0], ast.Constant)
        }
        for call in calls(function, "add"):
            if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "broken":
                (invariant,) = here or collected
                yield Rule(str(invariant), text_of(call.args[0], names))


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            if called == name:
                yield node


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield ast.unparse(node.targets[0]), str(node.value.value)


def text_of(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return names[ast.unparse(node)]


def corrupted_by() -> dict[Rule, list[str]]:
    """Return the corruptions that show each rule to break."""
    shown: defaultdict[Rule, list[str]] = defaultdict(list)
    for name, (expected, *_) in corruptions.CORRUPTIONS.items():
        invariant, _, words = expected.partition(" ")
        (rule,) = [it for it in rules() if it.invariant == invariant and words in it.sentence]
        shown[rule].append(name)
    return shown


def test_every_invariant_has_a_rule() -> None:
    assert {rule.invariant for rule in rules()} == INVARIANTS


def test_every_rule_is_shown_to_break() -> None:
    shown = {rule.sentence for rule in corrupted_by()}
    assert {rule.sentence for rule in rules()} - shown - ELSEWHERE.keys() == set()
    assert ELSEWHERE.keys() - {rule.sentence for rule in rules()} == set()


def test_the_tests_elsewhere_exist() -> None:
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), place


def table() -> str:
    """Return the table of docs/invariants.md."""
    shown = corrupted_by()
    lines = ["| | rule | shown to break by |", "|---|---|---|"]
    for rule in rules():
        names = [
            *shown.get(rule, ()),
            *([f"`{ELSEWHERE[rule.sentence]}`"] if rule.sentence in ELSEWHERE else ()),
        ]
        lines.append(f"| {rule.invariant} | {rule.sentence} | {'; '.join(names)} |")
    return "\n".join(lines)


def test_the_page_has_every_rule() -> None:
    """`PYTHONPATH=. python tests/unit/checks/test_every_rule.py` writes the table."""
    assert table() in PAGE.read_text()


def test_a_rule_that_is_forgotten_would_be_found() -> None:
    text = 'findings.Rule("I4", "a new rule", "SELECT 1")\nbroken = findings.Collector("I5")\n'
    collected = (
        'def check():\n    broken = findings.Collector("I6")\n    broken.add("another", "x")\n'
    )
    assert set(rules_in(ast.parse(text + collected))) == {
        Rule("I4", "a new rule"),
        Rule("I6", "another"),
    }


if __name__ == "__main__":
    before, _, _ = PAGE.read_text().partition("| | rule |")
    PAGE.write_text(f"{before}{table()}\n")
