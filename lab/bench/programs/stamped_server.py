"""The stock server, whose updates carry in their padding when they were made."""

from __future__ import annotations

from lab.bench.programs.stamps import stamp_updates
from stock_server.main import main

if __name__ == "__main__":
    stamp_updates()
    main()
