"""What the server does for a client that is too slow, and who chooses it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import grpc

POLICY_KEY = "stock-policy"
"""Request metadata: the policy that a client wants. Initial metadata: the one that it gets."""


class Policy(StrEnum):
    """Slow-consumer policies; all but `pause` read the log of the live feed, which waits for nobody."""

    PAUSE = "pause"
    """One source per stream, which waits: every update, late."""
    REPLAY = "replay"
    """Every update from the log, late, as long as the log reaches back."""
    CONFLATE = "conflate"
    """The newest update of each ticker, fresh; older ones are dropped."""
    DROP_OLDEST = "drop-oldest"
    """The last updates; older ones are dropped."""
    DISCONNECT = "disconnect"
    """As `drop-oldest`, but the stream is ended once so many have waited for some time."""


class PolicyRefusedError(Exception):
    """A client wants a policy that it cannot have."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def choose(metadata: Iterable[tuple[str, str | bytes]] | None, default: Policy, allowed: frozenset[Policy]) -> Policy:
    """Return the policy for a stream with this request metadata.

    Raises PolicyRefusedError: INVALID_ARGUMENT for one that there is not, PERMISSION_DENIED for one not allowed.
    """
    wanted = dict(metadata or ()).get(POLICY_KEY)
    if wanted is None:
        return default
    names = ", ".join(sorted(allowed))
    try:
        policy = Policy(str(wanted))
    except ValueError:
        raise PolicyRefusedError(
            grpc.StatusCode.INVALID_ARGUMENT, f"no such policy; {POLICY_KEY} takes one of: {names}"
        ) from None
    if policy not in allowed:
        raise PolicyRefusedError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"{policy} is not allowed here; {POLICY_KEY} takes one of: {names}",
        )
    return policy
