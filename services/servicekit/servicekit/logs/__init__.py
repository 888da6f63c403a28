"""What a service says: the form of a line, and who writes it."""
