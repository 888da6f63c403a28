"""The name that a client's certificate proves; both ends draw it from the certificate by the same rule."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowcontrol import is_client_name

LONGEST_NAME = 63


def proven_name(dns: Iterable[str], uris: Iterable[str], common_names: Iterable[str], declared: str) -> str | None:
    """Return the name of the client that has a certificate with these names; None where none of them is one.

    It is the first of the DNS names, else of the URIs (without their scheme, '-' for what no name may have), else the
    common name. What the client declares counts where it is that name with '-' and more behind it: replicas that share
    a certificate are told apart, and nobody takes the name of another.
    """
    candidates = (*dns, *map(_name_of_uri, uris), *common_names)
    certified = next(filter(is_client_name, candidates), None)
    if certified is None:
        return None
    return declared if is_client_name(declared) and declared.startswith(f"{certified}-") else certified


def _name_of_uri(uri: str) -> str:
    rest = uri.partition("://")[2] or uri
    return re.sub(r"[^A-Za-z0-9._]+", "-", rest).strip("-")[-LONGEST_NAME:].lstrip("._-")
