"""The lock that gives a data folder one owner."""

import fcntl
import os
import time
from pathlib import Path

from server.store.errors import StoreBusyError

_POLL_S = 0.05


class DataLock:
    """An flock(2) on a file in the data folder.

    The descriptor is handed to the store's server. A lock belongs to the open file, so the folder stays locked until
    supervisor *and* server are gone, however they went: two servers on one append-only file would ruin it.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "store.lock"
        self._data = data
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open lock file, to be inherited by the server."""
        assert self._descriptor is not None, "the lock is not held"
        return self._descriptor

    def acquire(self, patience: float) -> None:
        """Take the lock, waiting up to `patience` seconds for it.

        Raises:
            StoreBusyError: another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                    os.close(descriptor)
                    raise StoreBusyError(self._data, owner) from None
                time.sleep(_POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock; the folder is free once the server has ended too."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
