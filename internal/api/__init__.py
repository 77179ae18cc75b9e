"""The API server: the half that all services and adapters share, and the gRPC server."""
