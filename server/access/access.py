"""Decides who is let in, by what the access file says now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from server.access.access_file import AccessFile
from server.access.caller import LOOPBACK, Caller, CameraCaller, Principal, Role
from server.access.changes import make, user_added
from server.access.credential import Kind, matches, prefix_of
from server.access.passwords import PasswordCheck, hash_password
from server.access.register import Register, User
from server.access.sessions import Sessions
from server.access.throttle import Throttle
from server.audit.record import Event, Outcome, Subject
from server.config import ServerConfig
from server.errors import (
    AccessFileError,
    AccessOffError,
    LoginFailedError,
    PasswordChangeRequiredError,
    UserExistsError,
    WeakPasswordError,
)

FIRST_ADMIN = "admin"
_NO_HASH = "0" * 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstLogin:
    """What a user logs in with for the first time. The password is kept nowhere."""

    name: str
    password: str


class Access:
    """Who may do what. `open` when nobody is asked: no access file was configured, and only this machine can call.

    A file that was changed is read again at the next call. One that has become unreadable changes nothing: those who
    were let in by its last good version still are, and the log tells.

    Raises:
        AccessFileError: the file cannot be read.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.open = config.access_path is None
        self._file = None if config.access_path is None else AccessFile(config.access_path)
        self._sessions = Sessions(idle=config.session_idle, longest=config.session_longest)
        self._passwords = PasswordCheck()
        self._logins = Throttle("logins", config.logins_per_minute, policy="logins")
        self._register = Register()
        self._keys: dict[str, str] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._useless: tuple[int, int, int] | None = (0, 0, 0)
        """State of the file that could not be read."""
        if self._file is not None:
            self._read(self._file)

    def camera(self, token: str) -> CameraCaller | None:
        """The camera that a token is of; None for no token of ours."""
        register = self._current()
        prefix = prefix_of(token, Kind.CAMERA_TOKEN) or ""
        kept = register.camera_tokens.get(prefix)
        if not matches(token, kept.hash if kept else _NO_HASH) or kept is None:
            return None
        return CameraCaller(kept.camera_id, prefix)

    def principal(self, key: str) -> Principal | None:
        """Whose API key it is; None for none of ours."""
        register = self._current()
        prefix = prefix_of(key, Kind.USER_KEY) or ""
        name = self._keys.get(prefix)
        user = None if name is None else register.users[name]
        if not matches(key, user.keys[prefix].hash if user else _NO_HASH) or name is None or user is None:
            return None
        return _principal(name, user, prefix)

    def in_session(self, token: str) -> Principal | None:
        """Whose browser session it is; None when it is over or never was."""
        found = self._sessions.use(token)
        return None if found is None else self._of_session(found[0])

    def renewed(self, caller: Caller) -> Caller | None:
        """Who was let in before, with what it may do now; None when it would not be let in any more."""
        if self.open:
            return LOOPBACK
        register = self._current()
        if isinstance(caller, CameraCaller):
            token = register.camera_tokens.get(caller.via)
            return caller if token is not None and token.camera_id == caller.camera_id else None
        if caller.session is not None:
            return self._of_session(caller.session)
        name = self._keys.get(caller.via)
        return None if name != caller.name else _principal(name, register.users[name], caller.via)

    @property
    def file(self) -> AccessFile:
        """Where it is kept who is let in.

        Raises:
            AccessOffError: nobody is asked who they are.
        """
        if self._file is None:
            raise AccessOffError
        return self._file

    def register(self) -> Register:
        """Everybody who is let in.

        Raises:
            AccessOffError: nobody is asked who they are.
        """
        _ = self.file
        return self._current()

    def knows(self, name: str) -> bool:
        """Whether there is a user of this name."""
        return name in self._current().users

    async def log_in(self, name: str, password: str, new_password: str | None, address: str) -> str:
        """Begin a browser session; gives its token. `new_password` takes the place of a one-time password.

        Raises:
            LoginFailedError: no such user with such a password.
            PasswordChangeRequiredError: the password is a one-time one, and `new_password` is None.
            WeakPasswordError: the new password will not do.
            TooManyRequestsError
            AccessFileError: the new password cannot be kept.
        """
        self._logins.take(address)
        user = self._current().users.get(name)
        is_right = await self._passwords.verify(password, user.password if user else None)
        if not is_right or user is None or user.disabled:
            raise LoginFailedError
        if user.one_time_until is not None:
            if datetime.now(UTC) >= user.one_time_until:
                raise LoginFailedError
            if new_password is None:
                raise PasswordChangeRequiredError
            if new_password == password:
                raise WeakPasswordError("the one-time password cannot become your own; choose another")
            await asyncio.to_thread(self._exchange, name, user, new_password)
        return self._sessions.begin(name)

    def log_out(self, principal: Principal) -> None:
        """End its browser session."""
        if principal.session is not None:
            self._sessions.end(principal.session)

    def first_admin(self, record: Callable[[Event], object]) -> FirstLogin | None:
        """Make an admin when there is no user at all, and somebody will be asked who they are.

        Args:
            record: puts it on record, before it is done.

        Raises:
            AccessFileError: the file cannot be written.
            AuditUnavailableError: from `record`; nothing was changed.
        """
        if self._file is None or self._current().users:
            return None
        change, password = user_added(FIRST_ADMIN, Role.ADMIN, None)

        def add(register: Register) -> Register:
            if register.users:
                raise UserExistsError(next(iter(register.users)))
            return change.apply(register)

        event = Event(subject=Subject.ACCESS, outcome=Outcome.DONE, via="start")
        try:
            make(replace(change, apply=add), self._file, record, event)
        except UserExistsError:
            return None  # somebody was faster
        finally:
            self._read(self._file)
        return FirstLogin(FIRST_ADMIN, password)

    def _exchange(self, name: str, user: User, new_password: str) -> None:
        kept = hash_password(new_password)

        def change(register: Register) -> Register:
            if register.users.get(name) != user:
                raise LoginFailedError  # somebody was faster
            exchanged = user.model_copy(update={"password": kept, "one_time_until": None})
            return register.with_user(name, exchanged)

        assert self._file is not None
        self._file.change(change)

    def _of_session(self, key: str) -> Principal | None:
        session = self._sessions.look(key)
        if session is None:
            return None
        user = self._current().users.get(session.user)
        if user is None or user.disabled or session.began_at < user.sessions_since:
            self._sessions.end(key)
            return None
        return _principal(session.user, user, "session", key)

    def _current(self) -> Register:
        # At every call, which costs microseconds: who was just added is let in, and who was removed is not.
        if self._file is not None and (stamp := self._file.stamp()) not in (self._stamp, self._useless):
            try:
                self._read(self._file)
            except AccessFileError as error:
                self._useless = stamp
                _log.error("the access file stays as it was read last: %s", error)
        return self._register

    def _read(self, file: AccessFile) -> None:
        stamp = file.stamp()
        if stamp is None and self._stamp is not None:
            raise AccessFileError(file.path, "it has vanished; put back a copy")
        register = file.read()
        self._stamp, self._register = stamp, register
        self._keys = {prefix: name for name, user in register.users.items() for prefix in user.keys}


def _principal(name: str, user: User, via: str, session: str | None = None) -> Principal | None:
    if user.disabled:
        return None
    cameras = None if user.cameras is None else frozenset(user.cameras)
    return Principal(name, user.role, cameras, via, session)
