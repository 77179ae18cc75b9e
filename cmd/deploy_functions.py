"""Deploys the three functions to a Pulsar. See scripts/deploy_functions."""

from internal.deploy import command as deploy_command

if __name__ == "__main__":
    deploy_command.run()
