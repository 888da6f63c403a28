"""Measure a `grpc.aio` channel: its interceptor, and what that makes of calls."""
