"""Reads a stream of stock updates, as fast or as slowly as it is told, and knows what it has missed."""
