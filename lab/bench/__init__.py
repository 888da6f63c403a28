"""Measurements of what streams cost, under load."""
