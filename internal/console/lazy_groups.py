"""Groups of commands: each module is loaded when used, and a typo lists the valid names."""

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
import typer.core
import typer.main

from internal.console import suggestions


class Group(typer.core.TyperGroup):
    """A group of commands in one module."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - Typer's own types
        """Return the command of this name.

        Raises:
            typer.BadParameter: there is none; the message names those there are.
        """
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise _unknown(ctx, cmd_name, self.list_commands(ctx))
        return found


class LazyGroup(typer.core.TyperGroup):
    """A group of commands and groups, each in a module of its own that has them as its `app`."""

    modules: ClassVar[Mapping[str, str]] = {}
    """{name of the command: name of the module}, in the order of the help."""
    summaries: ClassVar[Mapping[str, str]] = {}
    """{name of the command: its line in the help}. A command without one is loaded for the help."""

    _is_helping = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as Typer calls it
        """Return all names."""
        return list(self.modules)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as Typer calls it
        """Import and return the command of this name.

        Raises:
            typer.BadParameter: as for Group.
        """
        if cmd_name not in self.modules:
            raise _unknown(ctx, cmd_name, list(self.modules))
        summary = self.summaries.get(cmd_name)
        if self._is_helping and summary:
            return typer.core.TyperCommand(cmd_name, help=summary)
        command = typer.main.get_command(importlib.import_module(self.modules[cmd_name]).app)
        command.name = cmd_name
        command.help = command.help or summary
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own types
        """Show the help, without loading commands that have a summary."""
        self._is_helping = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._is_helping = False


def new(help_text: str | None = None) -> typer.Typer:
    """Return an empty group; without a command it shows its help.

    A group of a LazyGroup has its text there.
    """
    return typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, help=help_text)


def single() -> typer.Typer:
    """Return an application for a single command, without a group."""
    return typer.Typer(add_completion=False)


def _unknown(ctx: Any, cmd_name: str, known: list[str]) -> typer.BadParameter:  # noqa: ANN401 - Typer's own
    return typer.BadParameter(suggestions.unknown("command", cmd_name, known), ctx=ctx)
