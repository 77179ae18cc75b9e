"""Clients that attack the gRPC server, and a judge of the harm they do to a good client."""
