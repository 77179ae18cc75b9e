"""The source tree keeps its own rules, and each rule is shown to find what it is for."""

import statistics
import subprocess
import tomllib
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pytest

from tests.unit import tidy

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "internal/wire/"

RULES_MODULE = "internal/payments/rules.py"
TIDY = '''"""Adds up. Must not print."""


def add(left: int, right: int) -> int:
    """Return the sum."""
    return (left + right) // 1  # type: ignore[misc] # noqa: RUF100 - an example
'''


def names(rule: tidy.Rule) -> str:
    """Return what pytest calls a rule."""
    return rule.__name__


@lru_cache(maxsize=1)
def tracked_sources() -> tuple[tidy.Source, ...]:
    """Return every text file that is under version control and not generated."""
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listing = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [path for path in listing.split("\0") if path and not path.startswith(GENERATED)]
    found = ((path, (ROOT / path).read_bytes()) for path in paths if (ROOT / path).is_file())
    return tuple(
        tidy.Source(path, content.decode()) for path, content in found if b"\0" not in content
    )


@pytest.mark.parametrize("rule", tidy.RULES, ids=names)
def test_tree_keeps(rule: tidy.Rule) -> None:
    findings = [finding for source in tracked_sources() for finding in rule(source)]
    assert not findings, "\n".join(["", *findings])


def test_most_functions_are_small() -> None:
    lengths = [
        lines
        for source in tracked_sources()
        if not source.is_test
        for _, _, lines in source.functions
    ]
    assert statistics.median(lengths) <= tidy.FUNCTION_LINES_MEDIAN_MAX


def test_folders_are_small() -> None:
    assert tidy.crowded_folders(source.path for source in tracked_sources()) == {}


def test_a_crowded_folder_is_found() -> None:
    files = [f"internal/orders/m{number}.py" for number in range(tidy.FOLDER_FILES_MAX)]
    assert tidy.crowded_folders([*files, "internal/orders/__init__.py", "tests/m.py"]) == {}
    assert tidy.crowded_folders([*files, "internal/orders/one_more.py"]) == {"internal/orders": 18}


def test_docstrings_are_plain_english() -> None:
    sentences = [
        (source.path, sentence)
        for source in tracked_sources()
        if source.path.startswith("internal/") and "/migrations/" not in source.path
        for sentence in source.sentences
    ]
    odd = [f"{path}: {sentence}" for path, sentence in sentences if tidy.is_odd(sentence)]
    assert len(odd) <= tidy.ODD_SENTENCES_MAX * len(sentences), "\n".join(["", *odd])


@pytest.mark.parametrize(
    ("docstring", "odd"),
    [
        ("Who waits longer for a row begins its transaction anew.", 1),
        ("Return rows. What does not fit is the server's to refuse.", 1),
        ("Keep it: so many rows are read, and nobody waits for ever.", 1),
        ("A transaction that waits longer than this for a row lock is retried.", 0),
        ("Up to this many rows are read. What if there are none?", 0),
    ],
)
def test_odd_english_is_found(docstring: str, odd: int) -> None:
    source = tidy.Source("internal/orders/store.py", f'LIMIT = 1\n"""{docstring}"""\n')
    assert sum(map(tidy.is_odd, source.sentences)) == odd


def test_ruff_and_mypy_see_python_without_a_suffix() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    bare = {s.path for s in tracked_sources() if s.is_python and not s.path.endswith(".py")}
    assert bare == set(tools["ruff"]["extend-include"])
    assert bare <= set(tools["mypy"]["files"])


@pytest.mark.parametrize("rule", tidy.RULES, ids=names)
def test_tidy_file_breaks_no_rule(rule: tidy.Rule) -> None:
    assert not list(rule(tidy.Source(RULES_MODULE, TIDY)))


BROKEN = [
    (tidy.files_are_short, "internal/orders/store.py", "x = 1\n" * 401),
    (tidy.files_are_short, "tests/unit/test_orders.py", "x = 1\n" * 601),
    (tidy.files_are_short, "scripts/start", "#!/usr/bin/env bash\n" + "true\n" * 400),
    (tidy.functions_are_short, "internal/orders/store.py", "def f():\n" + "    f()\n" * 70),
    (tidy.functions_are_short, "internal/orders/store.py", "async def f():\n" + "    f()\n" * 70),
    (tidy.money_is_never_a_float, RULES_MODULE, "fee = 0.5\n"),
    (tidy.money_is_never_a_float, RULES_MODULE, "fee = 1e3\n"),
    (tidy.money_is_never_a_float, RULES_MODULE, "fee = float(1)\n"),
    (tidy.money_is_never_a_float, RULES_MODULE, "def f(fee: float) -> None: ...\n"),
    (tidy.money_is_never_a_float, "internal/kernel/money.py", "half = amount / 2\n"),
    (tidy.money_is_never_a_float, "internal/ledger/store.py", "amount /= 2\n"),
    (tidy.long_calls_name_their_arguments, RULES_MODULE, "Sale(1, 2, 3, 4, 5, 6, 7, 8)\n"),
    (tidy.modules_say_what_they_are_for, "internal/orders/store.py", "import os\n"),
    (tidy.modules_say_what_they_are_for, "internal/orders/__init__.py", ""),
    (tidy.modules_say_what_they_are_for, "scripts/bench", "#!/usr/bin/env python3\nimport os\n"),
    (tidy.packages_hold_a_docstring_only, "internal/orders/__init__.py", '"""."""\nimport os\n'),
    (tidy.cmd_is_no_package, "cmd/__init__.py", '"""Commands."""\n'),
    (tidy.only_the_command_line_prints, "internal/orders/store.py", "print(1)\n"),
    (tidy.errors_live_in_one_tree, "internal/orders/store.py", "class Lost(Exception): ...\n"),
    (tidy.errors_live_in_one_tree, RULES_MODULE, "class Lost(errors.Temporary): ...\n"),
    (tidy.ignores_are_narrow, "tests/conftest.py", "import x  # type: ignore\n"),
    (tidy.ignores_are_narrow, "tests/conftest.py", "import x  # noqa\n"),
    (tidy.ignores_are_narrow, "tests/conftest.py", "import x  # noqa - it is needed\n"),
    (tidy.ignores_are_narrow, "tests/conftest.py", "# ruff: noqa: E501\n"),
    (tidy.ignores_are_narrow, "tests/conftest.py", "# mypy: ignore-errors\n"),
    (tidy.nothing_is_left_unfinished, "README.md", "TO" + "DO: write this\n"),
    (tidy.nothing_is_left_unfinished, "internal/orders/store.py", "x = 1  # FIX" + "ME\n"),
    (tidy.nothing_is_left_unfinished, "internal/orders/store.py", "x = 1  # X" + "XX\n"),
    (tidy.no_machine_is_named, "scripts/start", "cd /" + "work/main\n"),
    (tidy.no_machine_is_named, "docs/operations.md", "see `/" + "root/.cache`\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_broken_rule_is_found(rule: tidy.Rule, path: str, text: str) -> None:
    findings = list(rule(tidy.Source(path, text)))
    assert len(findings) == 1
    assert findings[0].startswith(f"{path}:")


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(tidy.RULES)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (tidy.only_the_command_line_prints, "internal/cli/main.py", "print(1)\n"),
        (tidy.money_is_never_a_float, "internal/infra/retry.py", "FIRST_DELAY_S = 0.02 / 2\n"),
        (tidy.errors_live_in_one_tree, tidy.ERRORS, "class SoukError(Exception): ...\n"),
        (tidy.long_calls_name_their_arguments, RULES_MODULE, "sa.Table(1, 2, 3, 4, 5, 6, 7, 8)\n"),
        (tidy.ignores_are_narrow, "internal/orders/store.py", "text = '# noqa'\n"),
        (tidy.nothing_is_left_unfinished, RULES_MODULE, "no_currency = 'XXX'\n"),
        (tidy.ignores_are_narrow, "internal/orders/store.py", "x = 1  # noqa: S608 - no input\n"),
        (tidy.no_machine_is_named, "docs/operations.md", "https://example.org/work-in-progress\n"),
        (tidy.modules_say_what_they_are_for, "scripts/test", "#!/usr/bin/env bash\ntrue\n"),
    ],
)
def test_rule_keeps_to_its_place(rule: tidy.Rule, path: str, text: str) -> None:
    assert not list(rule(tidy.Source(path, text)))


def test_money_rooms_are_where_amounts_are() -> None:
    rooms = {s.path for s in tracked_sources() if s.is_money_room}
    assert {"internal/kernel/money.py", "internal/pricing/messages.py"} <= rooms
    assert not any(PurePosixPath(path).parts[1] == "infra" for path in rooms)
