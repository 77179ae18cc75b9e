"""Tables of another version are named for what they are, with advice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.infra import schema


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Souk know the versions 0001 and 0002."""
    for name in ("0001_first_tables.py", "0002_more.py", "__init__.py"):
        (tmp_path / name).touch()
    monkeypatch.setattr(schema, "VERSIONS", tmp_path)
    schema.versions.cache_clear()
    yield
    schema.versions.cache_clear()


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize(
    ("found", "advice"),
    [
        ("0001", "`souk migrate` brings them up"),
        ("9999", "newer Souk"),
        (None, "no tables of Souk"),
    ],
)
def test_the_advice_depends_on_the_version(found: str | None, advice: str) -> None:
    assert advice in schema.other_version(found)
    assert schema.versions() == ("0001", "0002")
