"""The streams: which are taken, how each reads the feed, and what becomes of those that are too slow."""
