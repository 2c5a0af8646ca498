"""What can go wrong in `secondsight status`."""

from __future__ import annotations


class StatusError(Exception):
    """Root of the errors of `secondsight status`."""


class AddressError(StatusError):
    """An address that cannot be asked."""


class KeyInTheClearError(StatusError):
    """An API key was to be sent where others could read it."""
