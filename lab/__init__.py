"""Runs the stock services, judges their backpressure from measured numbers, and draws it."""
