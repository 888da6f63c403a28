"""Faults, one by one: real processes, and the figure that each must hold."""
