"""Say who may do what: users with their keys, and tokens of cameras."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.access.caller import Role
from server.errors import UserError

if TYPE_CHECKING:
    from server.access.access_file import AccessFile
    from server.access.changes import Change

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
    from server.access.changes import user_added

    change, password = user_added(name, role, tuple(cameras) if cameras else None)
    _change(data, file, change)
    _print_one_time(name, password)


@user.command("change")
def change_user(
    name: str,
    role: Annotated[Role | None, typer.Option(help="What it is trusted with from now on.")] = None,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="A camera it may see, instead of those so far.")
    ] = None,
    all_cameras: Annotated[bool, typer.Option("--all-cameras", help="It may see every camera.")] = False,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether nothing lets it in any more.")
    ] = None,
    data: Data = _DATA,
    file: File = None,
) -> None:
    """Give a user another role or other cameras, or let it in no more. Holds at its next request."""
    from server.access.changes import user_changed

    if cameras and all_cameras:
        raise UserError("--camera and --all-cameras exclude each other")
    changed: dict[str, object] = {}
    if role is not None:
        changed["role"] = role
    if cameras or all_cameras:
        changed["cameras"] = tuple(cameras) if cameras else None
    if disabled is not None:
        changed["disabled"] = disabled
    if not changed:
        raise UserError(
            "nothing is to be changed; give --role, --camera, --all-cameras, --disable or --enable"
        )
    _change(data, file, user_changed(name, changed))


@user.command("password")
def reset_password(name: str, data: Data = _DATA, file: File = None) -> None:
    """Print a new one-time password of a user, and end its browser sessions. Its API keys stay."""
    from server.access.changes import password_renewed

    change, password = password_renewed(name)
    _change(data, file, change)
    _print_one_time(name, password)


@user.command("list")
def list_users(data: Data = _DATA, file: File = None) -> None:
    """Show users with their roles, cameras and keys' prefixes."""
    from server.access.changes import listed

    for name, known in sorted(_file(data, file).read().users.items()):
        password = "one-time password" if known.one_time_until is not None else "password"
        disabled = "  disabled" if known.disabled else ""
        typer.echo(f"{name}  {known.role}  cameras {listed(known.cameras)}  {password}{disabled}")
        for prefix, key in sorted(known.keys.items(), key=lambda item: item[1].issued_at):
            typer.echo(f"    key {prefix}…  issued {key.issued_at:%Y-%m-%d %H:%M} UTC")


@user.command("remove")
def remove_user(name: str, data: Data = _DATA, file: File = None) -> None:
    """Remove a user with its keys; its sessions and calls end within seconds."""
    from server.access.changes import user_removed

    _change(data, file, user_removed(name))


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
    from server.access.changes import key_issued, key_revoked

    if revoke is not None:
        _change(data, file, key_revoked(name, revoke.rstrip("…")))
        return
    change, issued = key_issued(name)
    _change(data, file, change)
    typer.echo(issued.text)


@camera.command("add")
def add_camera(
    camera_id: Annotated[str, typer.Argument(metavar="CAMERA")], data: Data = _DATA, file: File = None
) -> None:
    """Issue a token of a camera, and print it this once. Older tokens of the camera stay until they are revoked."""
    from server.access.changes import token_issued

    change, issued = token_issued(camera_id)
    _change(data, file, change)
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
    from server.access.changes import tokens_revoked

    _change(data, file, tokens_revoked(which.rstrip("…")))


def _file(data: Path, file: Path | None) -> AccessFile:
    from server.access.access_file import AccessFile

    return AccessFile(file or data / "access.json")


def _change(data: Path, file: Path | None, change: Change) -> None:
    """Change the access file with a record in the audit: that first, so that no change goes without one."""
    from server.access.changes import make
    from server.audit.chain import Chain
    from server.audit.record import Event, Outcome, Subject
    from server.config import ServerConfig
    from server.errors import AuditUnavailableError

    config = ServerConfig(data=data)
    # How long records are kept is for the server to say.
    chain = Chain(config.audit_folder, segment_bytes=config.audit_segment_bytes)

    def record(event: Event) -> None:
        try:
            chain.append(event)
        except OSError as error:
            raise AuditUnavailableError from error

    by_hand = Event(subject=Subject.ACCESS, outcome=Outcome.DONE, principal=getpass.getuser(), via="terminal")
    make(change, _file(data, file), record, by_hand)
    typer.echo(change.told, err=True)


def _print_one_time(name: str, password: str) -> None:
    typer.echo(f"{name} logs in at the page with this one-time password, within three days:", err=True)
    typer.echo(password)
