"""Measure a `grpc.aio` server: its interceptor, and what that makes of handlers and their contexts."""
