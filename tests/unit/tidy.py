"""The rules of this source tree that ruff, mypy and import-linter do not know.

A rule is a pure function: it takes one source file and yields what is wrong with it, as
"path:line: what". `test_tidy.py` runs every rule over the tree, and over examples that break it.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 8
FOLDER_FILES_MAX = 17
POSITIONAL_MAX = 7
TAKES_A_LIST = {"Table", "_create", "add_row", "create_table", "select", "shape_of"}
"""Functions whose positional arguments are a list: of columns, of cells."""
ODD_SENTENCES_MAX = 0.02
"""Of all docstring sentences in `internal`, the share that may match ODD_PHRASE."""

PRINTING_ROOMS = ("cmd/", "scripts/", "internal/cli/", "internal/lab/")
ERRORS = "internal/kernel/errors.py"

# Written so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b|#.*\bX{3}\b")  # and a currency's code, at times
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|tmp/lab)(?:/|\b)")
ODD_PHRASE = re.compile(
    r"(^|[.!?]\s+|\n\s*)(Who|Whoever|What|Whatever) [a-z]+ (?![^.\n]*\?)|\bso many\b|\bis no [a-z]+"
    r"|\bnobody\b|\beverybody\b|\bthe house\b|\bfor ever\b|\bin hand\b|\bat hand\b",
    re.MULTILINE,
)
"""Turns of phrase that plain English does not have: a clause as subject, an image for a term."""
SENTENCE_END = re.compile(r"(?<=[.!?:])\s+")
BLANKET_IGNORES = (
    re.compile(r"#\s*type:\s*ignore(?!\[[a-z])"),
    re.compile(r"#\s*noqa(?!:\s*[A-Z]+\d)", re.IGNORECASE),
    re.compile(r"#\s*(?:ruff|flake8):\s*noqa", re.IGNORECASE),
    re.compile(r"#\s*mypy:\s*(?:ignore-errors|disable-error-code|allow|no)"),
)


@dataclass(frozen=True)
class Source:
    """One file: its path from the root of the tree, with forward slashes, and its text."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        """Tell Python by its suffix or its first line."""
        return self.path.endswith(".py") or self._interpreter().endswith("python3")

    @property
    def is_code(self) -> bool:
        """Tell what people write for machines to run."""
        return self.is_python or bool(self._interpreter()) or self.path.endswith(".sh")

    @property
    def is_test(self) -> bool:
        """Tell whether it lives with the tests."""
        return self.path.startswith("tests/")

    @property
    def is_money_room(self) -> bool:
        """Tell whether amounts are worked on here: no floats."""
        name = PurePosixPath(self.path).name
        return self.path.startswith(("internal/pricing/", "internal/ledger/")) or (
            self.path.startswith("internal/") and name in {"money.py", "rules.py", "messages.py"}
        )

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of the syntax tree; nothing for what is not Python."""
        return list(ast.walk(self.tree)) if self.is_python else []

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return ast.parse(self.text, self.path)

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences of all docstrings, those of attributes included."""
        bodies = (getattr(node, "body", None) for node in self.nodes)
        statements = [each for body in bodies if isinstance(body, list) for each in body]
        texts = (_docstring(each) for each in statements)
        return [sentence for text in texts if text for sentence in SENTENCE_END.split(text)]

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """(line, comment) of every comment; nothing for what is not Python."""
        if not self.is_python:
            return []
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]

    @cached_property
    def functions(self) -> list[tuple[int, str, int]]:
        """(line, name, length in lines) of every function, without its decorators."""
        return [
            (node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in self.nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    def at(self, line: int, what: str) -> str:
        """Name a finding's place."""
        return f"{self.path}:{line}: {what}"

    def _interpreter(self) -> str:
        first = self.text.partition("\n")[0]
        return first if first.startswith("#!") else ""


def _docstring(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""


def is_odd(sentence: str) -> bool:
    """Tell whether a sentence has a phrase that plain English does not have."""
    return ODD_PHRASE.search(sentence) is not None


def crowded_folders(paths: Iterable[str]) -> dict[str, int]:
    """Return the folders of `internal` that hold more modules than a reader can keep in view."""
    modules = (PurePosixPath(path) for path in paths if path.startswith("internal/"))
    counts = Counter(
        str(path.parent) for path in modules if path.suffix == ".py" and path.stem != "__init__"
    )
    return {folder: count for folder, count in counts.items() if count > FOLDER_FILES_MAX}


Rule = Callable[[Source], Iterator[str]]


def files_are_short(source: Source) -> Iterator[str]:
    """A file that grew beyond its limit holds two things."""
    limit = TEST_FILE_LINES_MAX if source.is_test else FILE_LINES_MAX
    lines = len(source.text.splitlines())
    if source.is_code and lines > limit:
        yield source.at(lines, f"{lines} lines, at most {limit}")


def functions_are_short(source: Source) -> Iterator[str]:
    """A function is read without scrolling."""
    for line, name, lines in source.functions:
        if lines > FUNCTION_LINES_MAX:
            yield source.at(line, f"{name} has {lines} lines, at most {FUNCTION_LINES_MAX}")


def money_is_never_a_float(source: Source) -> Iterator[str]:
    """No float, no complex, no call of float and no true division where amounts are worked on."""
    if not source.is_money_room:
        return
    for node in source.nodes:
        match node:
            case ast.Constant(value=float() | complex()):
                yield source.at(node.lineno, f"the float {node.value!r} in a money room")
            case ast.Name(id="float" | "complex"):
                yield source.at(node.lineno, f"{node.id} in a money room")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield source.at(node.lineno, "a true division in a money room: use //")


def long_calls_name_their_arguments(source: Source) -> Iterator[str]:
    """A reader cannot count to the eighth argument."""
    for node in source.nodes:
        if not isinstance(node, ast.Call) or source.is_test:
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if len(node.args) > POSITIONAL_MAX and name not in TAKES_A_LIST:
            yield source.at(node.lineno, f"{name} with {len(node.args)} arguments without names")


def modules_say_what_they_are_for(source: Source) -> Iterator[str]:
    """Every module opens with a docstring."""
    if source.is_python and not ast.get_docstring(source.tree):
        yield source.at(1, "no docstring: what is it for, and what must it not do?")


def packages_hold_a_docstring_only(source: Source) -> Iterator[str]:
    """Importing a package runs nothing and renames nothing."""
    if source.path.endswith("/__init__.py") and len(source.tree.body) > 1:
        yield source.at(source.tree.body[1].lineno, "__init__.py holds a docstring only")


def cmd_is_no_package(source: Source) -> Iterator[str]:
    """A package called cmd would shadow the standard library's and break pdb."""
    if source.path == "cmd/__init__.py":
        yield source.at(1, "cmd/ must not be a package")


def only_the_command_line_prints(source: Source) -> Iterator[str]:
    """Everything else logs, or returns what it has to say."""
    if source.path.startswith(PRINTING_ROOMS):
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield source.at(node.lineno, "print outside the command line")


def errors_live_in_one_tree(source: Source) -> Iterator[str]:
    """Every exception of Souk stands in the kernel's tree."""
    if source.path == ERRORS or source.is_test:
        return
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and any(map(_is_exception, node.bases)):
            yield source.at(node.lineno, f"the exception {node.name} belongs into {ERRORS}")


def _is_exception(base: ast.expr) -> bool:
    name = ast.unparse(base)
    return name.startswith("errors.") or name.endswith(("Error", "Exception"))


def ignores_are_narrow(source: Source) -> Iterator[str]:
    """Whoever silences a checker says which of its rules."""
    for line, comment in source.comments:
        if any(pattern.search(comment) for pattern in BLANKET_IGNORES):
            yield source.at(line, f"silences too much: {comment}")


def nothing_is_left_unfinished(source: Source) -> Iterator[str]:
    """What is missing is in the issues, not in the tree."""
    yield from _matching_lines(source, UNFINISHED, "left unfinished")


def no_machine_is_named(source: Source) -> Iterator[str]:
    """The tree runs wherever it is checked out."""
    yield from _matching_lines(source, MACHINE_PATH, "a path of one machine")


def _matching_lines(source: Source, pattern: re.Pattern[str], what: str) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if pattern.search(line):
            yield source.at(number, f"{what}: {line.strip()[:80]}")


RULES: tuple[Rule, ...] = (
    files_are_short,
    functions_are_short,
    money_is_never_a_float,
    long_calls_name_their_arguments,
    modules_say_what_they_are_for,
    packages_hold_a_docstring_only,
    cmd_is_no_package,
    only_the_command_line_prints,
    errors_live_in_one_tree,
    ignores_are_narrow,
    nothing_is_left_unfinished,
    no_machine_is_named,
)
