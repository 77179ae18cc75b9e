"""Puts load on a running server. See scripts/load."""

import os
import sys

from internal.load import load_command

if __name__ == "__main__":
    sys.exit(load_command.main(sys.argv[1:], os.environ))
