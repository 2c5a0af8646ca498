"""An embedded Valkey under our own supervision.

The server runs as a child with its own session (a Ctrl-C at the terminal is the supervisor's to handle), ends with its
parent however that ends, and is started again when it dies. Every write is on disk before it is acknowledged
(`appendfsync always`), so that a killed store loses nothing that an edge or a worker was told is stored.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.store import tied
from server.store.binary import find_server_binary
from server.store.config import StoreConfig
from server.store.data_lock import DataLock
from server.store.errors import StoreStartError

_HOST: Final = "127.0.0.1"
_POLL_S: Final = 0.02
_LOG_TAIL_LINES: Final = 5
_PORTS_TRIED: Final = 5
_PORT_TAKEN: Final = (
    "its port is taken: choose another (server --store-port, store --port; 0 takes a free one), or use what listens "
    "there (server --store redis://...); "
)
_log = logging.getLogger(__name__)


class EmbeddedStore:
    """One store on one data folder; a context manager.

    `start` returns once the store answers. From then on a thread of our own watches the server and starts it again,
    with growing waits, for as long as it dies. All methods may be called from any thread, and block.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.restarts = 0
        self._binary = find_server_binary()
        self._lock = DataLock(config.data)
        self._port = config.port
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: threading.Thread | None = None
        self._started = threading.Event()
        self._stopping = threading.Event()
        self._failure: StoreStartError | OSError | None = None

    @property
    def url(self) -> str:
        """Address for clients; known once started, and the same after a restart."""
        if self.config.unix_socket is not None:
            return f"unix://{self.config.unix_socket.absolute()}"
        return f"redis://{_HOST}:{self._port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server that runs now, or ran last."""
        assert self._process is not None, "the store was not started"
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """What the server has to say."""
        return self.config.data / "store.log"

    def start(self) -> None:
        """Take the data folder, start the server and wait until it answers.

        Raises:
            StoreBusyError: another store owns the data folder.
            StoreStartError: the server ended, or did not answer in time.
            OSError: the data folder cannot be written.
        """
        self.config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire(self.config.lock_patience)
        self._stopping.clear()
        self._started.clear()
        self._failure = None
        self._supervisor = threading.Thread(target=self._supervise, name="store-supervisor", daemon=True)
        self._supervisor.start()
        self._started.wait()
        if self._failure is not None:
            self._supervisor.join()
            raise self._failure

    def stop(self) -> None:
        """End the server, gently first, and free the data folder. Does nothing when it was not started."""
        self._stopping.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _supervise(self) -> None:
        """Run the server until `stop`. This thread starts every server: they end when it does (see `tied`)."""
        try:
            try:
                self._launch_first()
            except (StoreStartError, OSError) as error:
                self._failure = error
                return
            finally:
                self._started.set()
            self._keep_alive()
        finally:
            self._end_process()
            self._lock.release()

    def _keep_alive(self) -> None:
        wait = self.config.backoff_base
        while not self._stopping.wait(_POLL_S):
            process, up_since = self._process, time.monotonic()
            assert process is not None
            while process.poll() is None:
                if self._stopping.wait(_POLL_S):
                    return
            if time.monotonic() - up_since > self.config.healthy_after:
                wait = self.config.backoff_base
            _log.warning(
                "the store ended with code %s; starting it again in %.1f s", process.returncode, wait
            )
            if self._stopping.wait(wait):
                return
            wait = min(2 * wait, self.config.backoff_cap)
            self.restarts += 1
            try:
                self._launch()
            except (StoreStartError, OSError) as error:
                _log.error("%s", error)

    def _launch_first(self) -> None:
        """Launch; where any port will do, on another one when somebody took the free one before the server had it."""
        for left in reversed(range(_PORTS_TRIED)):
            try:
                self._launch()
                return
            except StoreStartError as error:
                if self.config.port != 0 or "in use" not in str(error) or not left:
                    raise
                self._port = 0

    def _launch(self) -> None:
        """Start a server and wait until it answers.

        Raises:
            StoreStartError: it ended, or did not answer in time.
        """
        if self.config.unix_socket is None and self._port == 0:
            self._port = _free_port()
        with self._open_log() as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    tied.__file__,
                    str(os.getpid()),
                    str(self._binary),
                    *self._settings(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self._lock.descriptor,),
            )
        self._await_answer(self._process)

    def _settings(self) -> list[str]:
        config = self.config
        if config.unix_socket is None:
            address = ["--port", str(self._port), "--bind", _HOST]
        else:
            address = [
                "--port",
                "0",
                "--unixsocket",
                str(config.unix_socket.absolute()),
                "--unixsocketperm",
                "700",
            ]
        return [
            *address,
            *("--dir", str(config.data.absolute())),
            *("--daemonize", "no"),
            *("--save", ""),
            *("--appendonly", "yes"),
            *("--appendfsync", "always"),
            *("--maxmemory", str(config.max_memory)),
            *("--maxmemory-policy", "volatile-ttl"),
        ]

    def _open_log(self) -> BinaryIO:
        if self.log_file.exists() and self.log_file.stat().st_size > self.config.log_limit:
            self.log_file.replace(self.log_file.with_suffix(".old.log"))
        return self.log_file.open("ab")

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.config.start_timeout
        client = redis.Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
        try:
            while not self._stopping.is_set():
                if process.poll() is not None:
                    words = self._last_words()
                    remedy = _PORT_TAKEN if "Address already in use" in words else ""
                    raise StoreStartError(
                        f"the store's server ended at once with code {process.returncode}; {remedy}{words}"
                    )
                try:
                    # Another server on the same port would answer a mere PING.
                    if client.info("server")["process_id"] == process.pid:
                        return
                except (redis.ConnectionError, redis.TimeoutError):
                    pass
                if time.monotonic() > deadline:
                    self._end_process()
                    raise StoreStartError(
                        f"the store did not answer within {self.config.start_timeout:g} s; {self._last_words()}"
                    )
                time.sleep(_POLL_S)
        finally:
            client.close()

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n  ".join([f"{self.log_file} ends:", *lines])

    def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(self.config.stop_timeout)
        except subprocess.TimeoutExpired:
            _log.warning("the store did not end within %g s and is killed", self.config.stop_timeout)
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
