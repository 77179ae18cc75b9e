"""Puts load on a running server. See scripts/load."""

import sys

from internal.lab.load import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
