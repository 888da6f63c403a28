"""Streams random stock updates over gRPC; HTTP/2 flow control holds it back where a client is slow."""

import os
import sys

# grpc's own log has a form of its own, and what matters of it comes as a status or an exception besides, but for TLS
# handshakes that fail: `handshakes` reads those there. grpc asks for this when it is imported, before there are
# settings
_tls = os.environ.get("STOCK_SERVER_TLS_CERTIFICATE") or any(each.startswith("--tls-certificate") for each in sys.argv)
if not _tls or sys.argv[0].endswith("-health"):
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
