"""Streams random stock updates over gRPC; HTTP/2 flow control holds it back where a client is slow."""

import os

# grpc's own log has a form of its own, and what matters of it comes as a status or an exception besides;
# it is read when grpc is imported, so before that
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
