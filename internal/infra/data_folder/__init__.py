"""The engine's data folder: private modes, its lock, its free space, what it has held before."""
