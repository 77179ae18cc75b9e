"""The API server: what all doors share, free of nouns and of gRPC, and the gRPC server itself."""
