"""What the client tells of itself: its metrics, how old updates were, whether it has a stream."""
