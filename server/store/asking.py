"""Asking the store, and what is raised when it does not do as asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from server.errors import StoreUnavailableError
from server.store.client import STORE_ERRORS

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def asking_store() -> Iterator[None]:
    """Raise StoreUnavailableError for whatever a client of the store raises within."""
    try:
        yield
    except STORE_ERRORS as error:
        raise StoreUnavailableError from error


def asks_store(ask: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Have a whole method be `asking_store`."""

    @wraps(ask)
    async def asking(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with asking_store():
            return await ask(*args, **kwargs)

    return asking
