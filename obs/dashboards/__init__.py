"""The Grafana dashboards as code: one module a dashboard, compiled to JSON by `python -m dashboards`."""
