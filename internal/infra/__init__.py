"""The only package that opens sockets and files or reads the environment."""
