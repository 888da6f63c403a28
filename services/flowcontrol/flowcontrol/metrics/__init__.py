"""The metrics of both ends, and how they become Prometheus series."""
