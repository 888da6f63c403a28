from __future__ import annotations

from collections.abc import Iterator

import pytest

from processes import Services, running_services


@pytest.fixture
def services(tmp_path) -> Iterator[Services]:
    """Start the services as processes of their own; they end with the test."""
    with running_services(tmp_path) as services:
        yield services
