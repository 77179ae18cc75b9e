"""The failpoints in the code, found by their calls."""

import ast
from collections.abc import Iterator
from pathlib import Path

from internal.flow import topics

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("functions", "internal")


def in_code() -> set[str]:
    """Return every failpoint."""
    modules = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {name for path in modules for name in _in_module(path)}


def _in_module(path: Path) -> Iterator[str]:
    """Yield the failpoints in a module; one that is named by its stage, once for each stage."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.hit"):
            continue
        match node.args:
            case [ast.Constant(value=str(name))]:
                yield name
            case [ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(end))])]:
                yield from (f"{stage.name}{end}" for stage in topics.STAGES)
            case _:
                raise AssertionError(f"{path}: cannot read {ast.unparse(node)}")
