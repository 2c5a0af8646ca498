"""What can go wrong in `secondsight status`."""

from __future__ import annotations

from secondsight.exit_codes import ExitCode


class StatusError(Exception):
    """Root of the errors of `secondsight status`."""


class AddressError(StatusError):
    """An address that cannot be asked."""

    exit_code = ExitCode.USAGE


class KeyInTheClearError(StatusError):
    """An API key was to be sent where others could read it."""

    exit_code = ExitCode.USAGE
