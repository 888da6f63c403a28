"""One log, many readers: a message is appended once, and each stream reads on from its own place when it can write."""
