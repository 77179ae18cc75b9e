"""The embedded host: the bus, the functions and the intake in one process."""
