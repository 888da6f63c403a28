"""Certificates: read from files, and again when they change, what they say, and when they end."""
