"""Payment gateways: the port, the registry, one file for each gateway."""
