"""Streams random stock updates over gRPC; HTTP/2 flow control holds it back where a client is slow."""
