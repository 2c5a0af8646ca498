"""Say who may do what: users with their keys, and tokens of cameras."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.access.caller import Role
from server.errors import UserError

if TYPE_CHECKING:
    from server.access.access_file import AccessFile
    from server.access.register import Register

app = typer.Typer(add_completion=False, no_args_is_help=True)
user = typer.Typer(no_args_is_help=True, help="People and programs, by role and cameras.")
camera = typer.Typer(no_args_is_help=True, help="Tokens that let cameras push their frames.")
app.add_typer(user, name="user")
app.add_typer(camera, name="camera")

Data = Annotated[
    Path,
    typer.Option(envvar="SECONDSIGHT_DATA_FOLDER", help="The server's folder, with access file and audit."),
]
File = Annotated[
    Path | None,
    typer.Option(envvar="SECONDSIGHT_ACCESS", help="Access file; DATA/access.json when left out."),
]
_DATA = Path("data")


@user.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Letters, digits and ._@-")],
    role: Annotated[Role, typer.Option(help="What it is trusted with.")] = Role.VIEWER,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="A camera it may see; all when left out.")
    ] = None,
    data: Data = _DATA,
    file: File = None,
) -> None:
    """Add a user, and print its one-time password."""
    from secondsight import store_keys
    from server.access.access import new_user
    from server.access.passwords import one_time_password
    from server.access.register import USER_NAME

    if not re.fullmatch(USER_NAME, name):
        raise UserError(f"{name!r} is no user's name; use letters, digits and ._@-, 64 at most")
    allowed = tuple(store_keys.checked_camera_id(camera_id) for camera_id in cameras) if cameras else None
    password = one_time_password()
    added = new_user(role, allowed, password)

    def change(register: Register) -> Register:
        if name in register.users:
            raise UserError(f"there is a user {name!r} already; remove it first, or give it another name")
        return register.with_user(name, added)

    _change(data, file, change, f"user {name} added as {role}, cameras {_listed(allowed)}")
    _print_one_time(name, password)


@user.command("password")
def reset_password(name: str, data: Data = _DATA, file: File = None) -> None:
    """Print a new one-time password of a user, and end its browser sessions. Its API keys stay."""
    from server.access.access import new_user
    from server.access.passwords import one_time_password

    password = one_time_password()

    def change(register: Register) -> Register:
        known = register.user(name)
        fresh = new_user(known.role, known.cameras, password)
        return register.with_user(name, fresh.model_copy(update={"keys": known.keys}))

    _change(data, file, change, f"user {name} got a one-time password")
    _print_one_time(name, password)


@user.command("list")
def list_users(data: Data = _DATA, file: File = None) -> None:
    """Show users with their roles, cameras and keys' prefixes."""
    for name, known in sorted(_file(data, file).read().users.items()):
        password = "one-time password" if known.one_time_until is not None else "password"
        typer.echo(f"{name}  {known.role}  cameras {_listed(known.cameras)}  {password}")
        for prefix, key in sorted(known.keys.items(), key=lambda item: item[1].issued_at):
            typer.echo(f"    key {prefix}…  issued {key.issued_at:%Y-%m-%d %H:%M} UTC")


@user.command("remove")
def remove_user(name: str, data: Data = _DATA, file: File = None) -> None:
    """Remove a user with its keys; its sessions and calls end within seconds."""
    _change(data, file, lambda register: register.without_user(name), f"user {name} removed")


@user.command("key")
def user_key(
    name: str,
    revoke: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Revoke the key of this prefix instead.")
    ] = None,
    data: Data = _DATA,
    file: File = None,
) -> None:
    """Issue an API key of a user, and print it this once."""
    from server.access.credential import Kind, issue
    from server.access.register import Key

    if revoke is not None:
        prefix = revoke.rstrip("…")
        _change(
            data,
            file,
            lambda register: register.without_key(name, prefix),
            f"key {prefix} of user {name} revoked",
        )
        return
    issued = issue(Kind.USER_KEY)
    key = Key(hash=issued.hash, issued_at=datetime.now(UTC))
    _change(
        data,
        file,
        lambda register: register.with_key(name, issued.prefix, key),
        f"key {issued.prefix} of user {name} issued",
    )
    typer.echo(issued.text)


@camera.command("add")
def add_camera(
    camera_id: Annotated[str, typer.Argument(metavar="CAMERA")], data: Data = _DATA, file: File = None
) -> None:
    """Issue a token of a camera, and print it this once. Older tokens of the camera stay until they are revoked."""
    from server.access.credential import Kind, issue
    from server.access.register import CameraToken

    issued = issue(Kind.CAMERA_TOKEN)
    token = CameraToken(camera_id=camera_id, hash=issued.hash, issued_at=datetime.now(UTC))
    _change(
        data,
        file,
        lambda register: register.with_camera_token(issued.prefix, token),
        f"token {issued.prefix} of camera {camera_id} issued",
    )
    typer.echo(issued.text)


@camera.command("list")
def list_cameras(data: Data = _DATA, file: File = None) -> None:
    """Show cameras with their tokens' prefixes."""
    tokens = _file(data, file).read().camera_tokens
    for prefix, token in sorted(tokens.items(), key=lambda item: (item[1].camera_id, item[1].issued_at)):
        typer.echo(f"{token.camera_id}  token {prefix}…  issued {token.issued_at:%Y-%m-%d %H:%M} UTC")


@camera.command("revoke")
def revoke_camera(
    which: Annotated[str, typer.Argument(metavar="CAMERA|PREFIX")], data: Data = _DATA, file: File = None
) -> None:
    """Revoke all tokens of a camera, or one by its prefix; the stream that it opened ends within seconds."""
    wanted = which.rstrip("…")
    _change(
        data, file, lambda register: register.without_camera_tokens(wanted), f"tokens of {wanted} revoked"
    )


def _file(data: Path, file: Path | None) -> AccessFile:
    from server.access.access_file import AccessFile

    return AccessFile(file or data / "access.json")


def _change(data: Path, file: Path | None, change: Callable[[Register], Register], told: str) -> None:
    """Change the access file with a record in the audit: that first, so that no change goes without one."""
    from server.audit.chain import Chain
    from server.audit.record import Event, Outcome, Subject
    from server.config import ServerConfig
    from server.errors import AuditUnavailableError

    config = ServerConfig(data=data)

    def recorded(register: Register) -> Register:
        changed = change(register)
        try:
            # How long records are kept is for the server to say.
            Chain(config.audit_folder, segment_bytes=config.audit_segment_bytes).append(
                Event(
                    subject=Subject.ACCESS,
                    outcome=Outcome.DONE,
                    principal=getpass.getuser(),
                    via="terminal",
                    detail=told,
                )
            )
        except OSError as error:
            raise AuditUnavailableError from error
        return changed

    _file(data, file).change(recorded)
    typer.echo(told, err=True)


def _print_one_time(name: str, password: str) -> None:
    typer.echo(f"{name} logs in at the page with this one-time password, within three days:", err=True)
    typer.echo(password)


def _listed(cameras: tuple[str, ...] | None) -> str:
    return "all" if cameras is None else ",".join(cameras)
