"""Where the server is reached where nothing else is set; without imports, for the health check that runs so often."""

HOST = "0.0.0.0"  # noqa: S104 - a service in a container is reached from outside of it
GRPC_PORT = 4444
METRICS_PORT = 2112
