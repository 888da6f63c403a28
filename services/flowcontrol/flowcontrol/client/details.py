"""Add metadata to the details of a call that a client is about to make."""

from __future__ import annotations

import copy
from typing import Any


def with_metadata(details: Any, metadata: Any, otherwise: type) -> Any:
    """Return the details with other metadata, in the class that they have; as `otherwise` where that cannot be."""
    if hasattr(details, "_replace"):  # a named tuple, as grpc's own is
        return details._replace(metadata=metadata)
    try:
        changed = copy.copy(details)
        object.__setattr__(changed, "metadata", metadata)  # also where it is frozen
    except (AttributeError, TypeError):  # it is a property, or cannot be copied
        return otherwise(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)
    return changed
