"""Deploys the three functions on a Pulsar cluster and waits until every instance has answered."""
