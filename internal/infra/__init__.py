"""The only room that opens sockets and files or reads the environment."""
