"""What a slow consumer comes to: predicted, and measured beside it."""
