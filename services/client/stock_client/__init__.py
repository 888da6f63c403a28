"""Reads a stream of stock updates, as fast or as slowly as it is told, and knows what it has missed."""

import os

# grpc's own log has a form of its own, and what matters of it comes as a status or an exception besides;
# it is read when grpc is imported, so before that
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
