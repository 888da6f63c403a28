"""Where the market is reached where nothing else is set; without imports, for the health check that runs so often."""

METRICS_HOST = "::"
"""All addresses, those of IPv4 too: a service in a container is reached from outside of it."""

METRICS_PORT = 2114
