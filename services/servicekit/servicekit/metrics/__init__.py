"""What Prometheus scrapes: how families are written, the page of them, and the port that answers with it."""
