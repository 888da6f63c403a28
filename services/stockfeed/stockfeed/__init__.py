"""What the stock server and the market share: how updates are made, and the stream of NATS that keeps them."""
