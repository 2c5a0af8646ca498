"""Methods that ask the store, and what they raise when it does not do as asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from server.errors import StoreUnavailableError
from server.store.client import STORE_ERRORS

_P = ParamSpec("_P")
_T = TypeVar("_T")


def asks_store(ask: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Have a method raise StoreUnavailableError for whatever its client of the store raises."""

    @wraps(ask)
    async def asking(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await ask(*args, **kwargs)
        except STORE_ERRORS as error:
            raise StoreUnavailableError from error

    return asking
