"""Deploys the three functions to a Pulsar. See scripts/deploy_functions."""

from internal.stack import deploy_command

if __name__ == "__main__":
    deploy_command.run()
