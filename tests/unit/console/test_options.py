"""Groups of options as one parameter of a command."""

import dataclasses
from typing import Annotated

import pytest
import typer

from internal.console.options import flattened


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two options."""

    left: Annotated[str, typer.Option("--left")]
    right: Annotated[list[int], typer.Option("--right")] = dataclasses.field(default_factory=list)


def run(*arguments: str) -> tuple[str, Pair, bool]:
    """Run a command with a group of options and return what it got."""
    got: list[tuple[str, Pair, bool]] = []
    app = typer.Typer()

    @app.command()
    @flattened
    def command(
        name: Annotated[str, typer.Argument()],
        pair: Pair,
        *,
        loud: Annotated[bool, typer.Option("--loud")] = False,
    ) -> None:
        got.append((name, pair, loud))

    app(list(arguments), standalone_mode=False)
    return got[0]


def test_a_group_arrives_as_one_value() -> None:
    got = run("x", "--left", "l", "--right", "1", "--right", "2", "--loud")
    assert got == ("x", Pair("l", [1, 2]), True)


def test_defaults_are_the_fields_own() -> None:
    assert run("x", "--left", "l") == ("x", Pair("l"), False)


def test_an_option_without_a_default_is_required() -> None:
    with pytest.raises(Exception, match="left"):
        run("x")
