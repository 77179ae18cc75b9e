"""The wheel that is deployed: reproducible, complete, and without instruments."""

import io
import zipfile
from pathlib import Path

import pytest

from internal.deploy import function_configs, wheel
from internal.kernel import errors


def test_same_tree_gives_the_same_wheel() -> None:
    first, second = wheel.build(), wheel.build()
    assert first == second
    assert first.name.startswith(f"souk-{first.version}-")


def test_wheel_holds_the_functions_and_their_imports_but_no_instruments() -> None:
    with zipfile.ZipFile(io.BytesIO(wheel.build().content)) as opened:
        names = set(opened.namelist())
    configs = function_configs.files()
    assert {f"functions/{name.replace('.yaml', '.py')}" for name in configs} <= names
    assert {"internal/pipeline/function.py", "internal/infra/migrate.py"} <= names
    assert not any(
        name.startswith(("tests/", "cmd/", "scripts/", "internal/lab/")) for name in names
    )


@pytest.mark.parametrize(("name", "content"), [("x-1-py3.whl", b"no zip"), ("x-1-py3.whl", None)])
def test_other_file_is_not_a_wheel_of_souk(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / name
    if content is None:
        zipfile.ZipFile(file, "w").close()
    else:
        file.write_bytes(content)
    with pytest.raises(errors.Misconfigured, match=r"x-1-py3\.whl is not a wheel"):
        wheel.read(file)


def test_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="not a checkout"):
        wheel.build(tmp_path, tmp_path)
