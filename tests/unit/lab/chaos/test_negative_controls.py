"""Every negative control has its broken module, and puts it into the wheel of its function."""

import ast
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from internal.deploy import wheel
from internal.lab.chaos import negative_controls

BROKEN = Path(__file__).resolve().parents[3] / "acceptance"
CONTROLS = negative_controls.all_controls(1)


def a_wheel(*names: str) -> wheel.Wheel:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name in names:
            opened.writestr(name, "VALUE = 1\n")
    return wheel.Wheel("souk-1-py3.whl", "1", "digest", content.getvalue())


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_module_is_there_and_can_take_over(control: negative_controls.Control) -> None:
    text = (BROKEN / f"{control.module}.py").read_text()
    functions = [it.name for it in ast.parse(text).body if isinstance(it, ast.FunctionDef)]
    assert "take_over" in functions


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_wheel_has_the_broken_module_and_its_function_calls_it(
    control: negative_controls.Control,
) -> None:
    function, other = f"functions/{control.function}.py", "internal/other.py"
    module = BROKEN / f"{control.module}.py"
    changed = negative_controls.with_broken(a_wheel(function, other), module, control.function)
    assert changed.digest == hashlib.sha256(changed.content).hexdigest()
    with zipfile.ZipFile(io.BytesIO(changed.content)) as opened:
        assert opened.read(negative_controls.BROKEN) == module.read_bytes()
        assert opened.read(function).decode().endswith("broken.take_over()\n")
        assert opened.read(other).decode() == "VALUE = 1\n"


def test_controls_are_chosen_by_a_part_of_their_names() -> None:
    assert negative_controls.chosen(1, []) == CONTROLS
    names = [control.name for control in negative_controls.chosen(1, ["stock"])]
    assert names == ["control: without the guard of the stock"]
