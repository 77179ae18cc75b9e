"""Which Souk a command works on."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.console import installation
from internal.kernel import errors


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, and an environment that names nothing."""
    for name in [name for name in os.environ if name.startswith(installation.NAMING)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stack(here: Path) -> Iterator[int]:
    """A stack whose database takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        make_stack(here / installation.STACK_FOLDER, listening.getsockname()[1])
        yield listening.getsockname()[1]


def make_stack(folder: Path, port: int) -> None:
    folder.mkdir(parents=True)
    text = f'[storage]\nengine = "full"\ndata_dir = "{folder}/souk"\n[mysql]\nport = {port}\n'
    (folder / "souk.toml").write_text(text)


def test_the_stack_of_this_checkout_while_it_is_up(stack: int) -> None:
    found = installation.of(None)
    assert (found.settings.storage.engine, found.settings.mysql.port) == ("full", stack)
    assert found.settings.storage.data_dir.name == "souk"
    assert found.place == "the stack in data/stack, which is up"


def test_else_the_data_folder(here: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        make_stack(here / installation.STACK_FOLDER, closed.getsockname()[1])
        found = installation.of(None)
    assert (found.settings.storage.engine, found.settings.storage.data_dir) == (
        "embedded",
        Path("data"),
    )
    assert "no stack is up" in found.place


def test_a_folder_that_is_named_wins(stack: int, here: Path) -> None:
    assert stack
    found = installation.of(here / "elsewhere")
    assert found.settings.storage.data_dir == here / "elsewhere"
    assert installation.of(installation.STACK_FOLDER).settings.mysql.port == stack


@pytest.mark.parametrize("name", ["SOUK_STORAGE__DATA_DIR", "SOUK_STORAGE__ENGINE"])
def test_a_variable_wins_over_the_stack(
    stack: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack
    monkeypatch.setenv(name, "embedded")
    assert installation.of(None).settings.storage.engine == "embedded"
    assert installation.of(None).place == f"{name}=embedded"


def test_souk_config_wins_over_the_stack(
    stack: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = here / "own.toml"
    own.write_text(f"[mysql]\nport = {stack - 1}\n")
    monkeypatch.setenv("SOUK_CONFIG", str(own))
    assert installation.settings_of(None).mysql.port == stack - 1


def test_a_stack_with_a_wrong_setting_is_told(here: Path) -> None:
    folder = here / installation.STACK_FOLDER
    folder.mkdir(parents=True)
    (folder / "souk.toml").write_text("[mysql]\nport = 'x'\n")
    with pytest.raises(errors.Misconfigured, match="SOUK_MYSQL__PORT"):
        installation.of(None)


def test_its_server_and_its_demo_key(stack: int, here: Path) -> None:
    assert stack
    with (here / installation.STACK_FOLDER / "souk.toml").open("a") as file:
        file.write("[intake]\nport = 50151\n")
    found = installation.of(None)
    assert found.target == "127.0.0.1:50151"
    assert found.demo_key_file == here / installation.STACK_FOLDER / "souk" / "demo-api-key"


def test_an_error_says_which_it_was_unless_it_was_named(here: Path) -> None:
    def notes(data: Path | None) -> list[str]:
        with (
            pytest.raises(errors.DatabaseAway) as raised,
            installation.chosen(data),
        ):
            raise errors.DatabaseAway("gone")
        return getattr(raised.value, "__notes__", [])

    assert notes(None) == ["This is about the data folder data, as no stack is up in data/stack."]
    assert notes(here) == []
