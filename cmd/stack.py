"""Brings up a real broker and a real database on this machine. See scripts/stack."""

from internal.stack import command

if __name__ == "__main__":
    command.commands(prog_name="scripts/stack")
