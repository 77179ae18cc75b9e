"""Any settings are read, or rejected by name. No other exception escapes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.infra import settings
from internal.kernel import errors
from tests.support import profiles

GROUPS = {name: group.annotation for name, group in settings.Settings.model_fields.items()}
NAMES = [(group, name) for group, kind in GROUPS.items() for name in kind.model_fields]  # type: ignore[union-attr]
PRINTABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = (
    PRINTABLE | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["", "[]", "{}"])
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)


def read() -> settings.Settings | None:
    """Read the settings; None if they were rejected."""
    try:
        return settings.load()
    except errors.Misconfigured:
        return None


@profiles.tries(150)
@given(st.sampled_from(NAMES), VALUES)
def test_any_value_is_read_or_refused(place: tuple[str, str], value: str) -> None:
    group, name = place
    variable = f"{settings.PREFIX}{group.upper()}__{name.upper()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, value)
        options = read()
    if options is None:
        return
    assert hasattr(getattr(options, group), name)


@st.composite
def toml(draw: st.DrawFn) -> bytes:
    """Write a settings file: often nearly right, sometimes anything."""
    lines = []
    for group, name in draw(st.lists(st.sampled_from(NAMES), max_size=4)):
        lines += [f"[{group}]", f"{name} = {draw(VALUES)}"]
    text = "\n".join(lines).encode()
    return text + draw(st.binary(max_size=10)) if draw(st.booleans()) else text


@profiles.tries(150)
@given(content=toml() | st.binary(max_size=200))
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file: Path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"{settings.PREFIX}CONFIG", str(file))
        read()
