"""Makes the stock updates that all servers stream, and stores them in NATS JetStream."""
