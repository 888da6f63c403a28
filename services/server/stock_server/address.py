"""Where the server is reached where nothing else is set; without imports, for the health check that runs so often."""

HOST = "::"
"""All addresses, those of IPv4 too: a service in a container is reached from outside of it."""

GRPC_PORT = 4444
METRICS_PORT = 2112
