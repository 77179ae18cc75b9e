"""Brings up a real broker and a real database on this machine. See scripts/stack."""

import sys

from internal.stack import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
