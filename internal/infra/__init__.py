"""Technology behind ports: database, bus, settings, logs, metrics, traces. Knows no noun."""
