"""Addresses of a store: one server, or a cluster by as many of its nodes as one names.

``redis://HOST:PORT/0`` and ``rediss://`` (TLS) are redis-py's own. ``redis+cluster://HOST:PORT,HOST:PORT`` and
``rediss+cluster://`` name a cluster; user and password stand before the first node and go for all.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

_CLUSTER: Final = "+cluster"


def is_cluster(url: str) -> bool:
    """Whether `url` names a cluster."""
    return urlsplit(url).scheme.endswith(_CLUSTER)


def cluster_nodes(url: str) -> tuple[str, list[tuple[str, int]]]:
    """The first node of a cluster as redis-py's URL, and the other ones that `url` names.

    Raises:
        ValueError: one of them is not HOST:PORT.
    """
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    scheme = parts.scheme.removesuffix(_CLUSTER)
    return (
        urlunsplit((scheme, f"{credentials}{at}{first}", parts.path, parts.query, "")),
        [_host_and_port(other) for other in others],
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is no node of a cluster; use HOST:PORT")
    return host, int(port)
