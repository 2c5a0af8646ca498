"""Hand results on to MQTT brokers (Home Assistant, Frigate's form) and webhooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.logs import LogFormat, set_up_logging
from server.options import LogFormatOption, LogLevel, LogLevelOption

if TYPE_CHECKING:
    from server.relay.config import RelayConfig
    from server.relay.process import Relay

app = typer.Typer(add_completion=False)


@app.command()
def relay(
    config: Annotated[
        Path,
        typer.Option(envvar="SECONDSIGHT_RELAY_CONFIG", help="YAML file, see docs/integrations.md."),
    ] = Path("relay.yaml"),
    check: Annotated[
        bool, typer.Option("--check", help="Look at the file, tell all that is wrong with it, and end.")
    ] = False,
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Hand results on to MQTT brokers and webhooks, as a YAML file says. It asks a server as any client does.

    Prints one line when it works: `ready targets=N http=HOST:PORT`. How far each target is stays in a folder, so that
    after a restart it goes on there. Ends on SIGTERM or Ctrl-C.
    """
    from server.relay.config import RelayConfig

    set_up_logging(log_format, log_level.upper())
    found = RelayConfig.load(config)
    if check:
        targets = ", ".join([*found.mqtt, *found.webhooks])
        typer.echo(f"{config} is well: {targets}")
        return
    _relay(found)


def _relay(config: RelayConfig) -> None:
    import asyncio

    from server.relay.process import Relay
    from server.until_told import serve_until_told

    def announce(relay: Relay) -> None:
        typer.echo(f"ready targets={len(relay.outlets)} http={relay.http_address}")

    async def run() -> None:
        await serve_until_told(Relay(config), announce)

    asyncio.run(run())
