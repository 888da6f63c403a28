"""What goes wrong inside of measuring: it is counted and logged, and ends no stream."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Faults:
    """Counts faults, and logs the first with its traceback."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, doing: str) -> None:
        """Take in the exception that is being handled; `doing` tells what was being measured."""
        self.count += 1
        if self.count == 1:
            log.exception("measuring has failed: %s; the stream goes on, and further faults are only counted", doing)
