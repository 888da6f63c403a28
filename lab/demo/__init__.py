"""Plays: real services on loopback, claims that were made beforehand, a chart."""
