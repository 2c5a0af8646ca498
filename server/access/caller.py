"""Who calls, and what they may do."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from server.errors import ForbiddenError


class Role(StrEnum):
    """What a person or program is trusted with. Each may do what those before it may."""

    VIEWER = "viewer"
    """Machine views, machine layers and results."""
    OPERATOR = "operator"
    """Also human views and raw enhancement layers, with a reason."""
    ADMIN = "admin"
    """Also who is let in, what is on record, and the rules of cameras."""


class Permission(StrEnum):
    """What a route or a call asks for."""

    LOOK = "look at machine views and results"
    HUMAN_VIEW = "look at human views"
    KEEP = "keep frames"
    ADMINISTER = "administer the server"


_RANK: Final = {role: rank for rank, role in enumerate(Role)}
_LEAST_ROLE: Final = {
    Permission.LOOK: Role.VIEWER,
    Permission.HUMAN_VIEW: Role.OPERATOR,
    Permission.KEEP: Role.OPERATOR,
    Permission.ADMINISTER: Role.ADMIN,
}


@dataclass(frozen=True)
class Principal:
    """A person or program that was let in."""

    name: str
    role: Role
    cameras: frozenset[str] | None
    """Those it may see; None for all."""
    via: str
    """What it was let in by: `loopback`, `session` or the visible prefix of an API key."""
    session: str | None = None
    """Hash of the browser session's token."""

    def may(self, permission: Permission) -> bool:
        """Whether its role is enough."""
        return _RANK[self.role] >= _RANK[_LEAST_ROLE[permission]]

    def check(self, permission: Permission) -> None:
        """Raise ForbiddenError unless its role is enough."""
        if not self.may(permission):
            raise ForbiddenError(
                f"the role {self.role} may not {permission.value}: that takes the role {_LEAST_ROLE[permission]}"
            )

    def sees(self, camera_id: str) -> bool:
        """Whether its access covers this camera."""
        return self.cameras is None or camera_id in self.cameras

    def check_sees(self, camera_id: str) -> None:
        """Raise ForbiddenError unless its access covers this camera."""
        if not self.sees(camera_id):
            raise ForbiddenError(
                f"your access does not cover camera {camera_id!r}; an admin of the server can widen it"
            )


@dataclass(frozen=True)
class CameraCaller:
    """A camera that was let in, to push its own frames and nothing else."""

    camera_id: str
    via: str
    """The visible prefix of its token."""


Caller = Principal | CameraCaller

LOOPBACK: Final = Principal("loopback", Role.ADMIN, None, "loopback")
"""Whoever calls a server that listens on the loopback alone and was given no access file."""

caller: ContextVar[Caller] = ContextVar("server.access.caller")
"""Who opened the gRPC call that is being served."""
