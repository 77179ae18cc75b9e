"""Modules are imported when they are used; a help text needs none of the engine's."""

import subprocess
import sys
from pathlib import Path

import pytest

from internal.console import lazy_modules

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("sqlalchemy", "alembic", "grpc", "pydantic_settings", "jpype", "httpx")
SHOWN = f"""
import sys
import importlib
import pathlib
try:
    importlib.import_module("internal.{{module}}").{{call}}
finally:
    sys.exit(repr([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_a_lazy_module_has_what_the_module_has() -> None:
    module = lazy_modules.lazy("colorsys")
    sys.modules.pop("colorsys", None)
    assert module.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert "colorsys" in sys.modules
    with pytest.raises(AttributeError):
        _ = module.no_such_name


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("cli.main", "run(['--help'])"),
        ("lab.load.command", "main(['--help'])"),
        ("lab.demo.command", "main(['--help'])"),
        ("lab.bench.command", "main(['full', '--help'], None)"),
        ("lab.chaos.command", "main(['--help'], pathlib.Path(), pathlib.Path())"),
        ("host.command", "main(['--help'], pathlib.Path())"),
        ("stack.command", "main(['up', '--help'])"),
        ("deploy.command", "main(['--help'])"),
    ],
)
def test_help_imports_nothing_heavy(module: str, call: str) -> None:
    code = SHOWN.format(module=module, call=call)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert "Usage: " in ended.stdout
    assert ended.stderr == "[]\n"
