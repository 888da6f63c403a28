"""Reading a stream: what becomes of its updates, and of their numbers."""
