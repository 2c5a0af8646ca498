"""An HTTP server on an event loop that it does not own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from server.config import parse_address
from server.tls import ServerTlsConfig, http_context


class HttpServer(uvicorn.Server):
    """Serves `app` on `address` after `listen` until `should_exit`. The process has its own signal handlers."""

    def __init__(
        self, app: FastAPI, address: str, drain_grace: float, tls: ServerTlsConfig | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                timeout_graceful_shutdown=max(1, round(drain_grace)),
                ssl_context_factory=None if tls is None else lambda _config, _default: http_context(tls),
            )
        )
        self._address = address

    def listen(self) -> str:
        """Take the address. Gives it with the port that a port of 0 became.

        Raises:
            OSError: the address cannot be listened on.
            ServerConfigError: there is no certificate where there should be one.
        """
        # Else uvicorn would look at its certificate only when it serves.
        self.config.load()
        host, port = parse_address(self._address)
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            raise OSError(f"cannot listen on {self._address} for HTTP: {error}") from error
        return f"{host}:{self._socket.getsockname()[1]}"

    async def serve_there(self) -> None:
        """Serve on the address that `listen` took until `should_exit` is set."""
        await self.serve(sockets=[self._socket])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
