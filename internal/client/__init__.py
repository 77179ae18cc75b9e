"""The gRPC client of Souk's order service, for the command line, load, measurements and chaos."""
