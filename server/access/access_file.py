"""The access file: one JSON document, read by servers, changed by servers and by `secondsight access`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from server.access.register import Register
from server.errors import AccessFileError
from server.private_file import locked, make_private_folder, write_private

_MOST_BYTES = 16 * 2**20


class AccessFile:
    """Reads and changes the file at `path`; a file that is not there yet is an empty register."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int, int] | None:
        """Differs whenever the file was changed; None when there is none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return -1, 0, 0  # to be read, which tells what is wrong
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> Register:
        """What it holds.

        Raises:
            AccessFileError: it cannot be read, or others can read or change it too.
        """
        try:
            found = self.path.stat()
            if found.st_mode & 0o077:
                raise AccessFileError(
                    self.path, f"others than its owner can open it; chmod 600 {str(self.path)!r}"
                )
            if found.st_size > _MOST_BYTES:
                raise AccessFileError(self.path, f"it has more than {_MOST_BYTES} bytes")
            return Register.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return Register()
        except OSError as error:
            raise AccessFileError(self.path, f"it cannot be read ({error.strerror})") from error
        except ValidationError as error:
            # The faults alone: the values are nobody's business.
            where = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)[:3]
            )
            raise AccessFileError(
                self.path, f"it is damaged ({where}); put back a copy or remove it"
            ) from error

    def change(self, change: Callable[[Register], Register], *, may_begin: bool = True) -> Register:
        """Put what `change` makes of the register in its place, with nobody else changing it meanwhile.

        Args:
            may_begin: a file that is not there is begun. Otherwise it counts as lost, and others in it would be too.

        Raises:
            AccessFileError: it cannot be read or written.
        """
        try:
            make_private_folder(self.path.parent)
            with locked(self.path.with_name(f"{self.path.name}.lock")):
                if not may_begin and self.stamp() is None:
                    raise AccessFileError(self.path, "it has vanished; put back a copy")
                changed = change(self.read())
                write_private(self.path, changed.model_dump_json(indent=1).encode())
                return changed
        except OSError as error:
            raise AccessFileError(self.path, f"it cannot be written ({error.strerror})") from error
