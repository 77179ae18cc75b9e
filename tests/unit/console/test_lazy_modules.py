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
before = set(sys.modules)
from internal.{{command}} import command
import pathlib
try:
    command.main(*{{arguments}})
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
    ("command", "arguments"),
    [
        ("lab.load", "(['--help'],)"),
        ("lab.demo", "(['--help'],)"),
        ("lab.bench", "(['full', '--help'], None)"),
        ("lab.chaos", "(['--help'], pathlib.Path(), pathlib.Path())"),
        ("host", "(['--help'], pathlib.Path())"),
        ("stack", "(['up', '--help'],)"),
        ("deploy", "(['--help'],)"),
    ],
)
def test_help_imports_nothing_heavy(command: str, arguments: str) -> None:
    code = SHOWN.format(command=command, arguments=arguments)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert "Usage: " in ended.stdout
    assert ended.stderr == "[]\n"
