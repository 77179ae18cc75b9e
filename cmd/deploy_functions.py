"""Deploys the three functions to a Pulsar. See scripts/deploy_functions."""

import sys

from internal.deploy import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
