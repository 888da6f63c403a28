"""A stack that runs: what its Prometheus and Grafana say, and Compose, which runs one."""
