"""A module for each kind of fault."""
