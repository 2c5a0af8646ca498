"""Metadata of gRPC calls: a part of the contract beside the messages."""

from __future__ import annotations

from typing import Final

SERVER_TIME: Final = "secondsight-server-time-ns"
"""Initial metadata of Subscribe: when the starting positions were taken, by the server's clock, ns since the epoch."""
