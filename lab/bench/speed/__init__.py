"""What the services cost beside bare grpcio: rates, processor time, latency, memory, start."""
