"""The gRPC port: the server that listens on it, what it keeps open, its limits, and what it says of itself."""
