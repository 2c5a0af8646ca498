"""Looks at every file that a relay's configuration names, before anything is begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from secondsight.client import SettingsError
from server.errors import RelayConfigError
from server.relay.config import RelayConfig, signing_key, tls_of
from server.relay.mqtt import password_of
from server.relay.source import Source


def check_files(config: RelayConfig, path: Path) -> None:
    """Read the keys, secrets and certificates of the configuration in `path`.

    Raises:
        RelayConfigError: names every one that cannot be used.
    """
    faults = []
    for place, read in _readings(config):
        try:
            read()
        except (RelayConfigError, SettingsError) as error:
            faults.append(f"\n  {place}: {error}")
    if faults:
        raise RelayConfigError(f"{path} cannot be:{''.join(faults)}")


def _readings(config: RelayConfig) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each with what it reads, by the name that this has in the file."""
    yield "api_key_file", Source(config).settings
    yield "ca, certificate and key", partial(tls_of, config.ca, config.certificate, config.key)
    for name, broker in config.mqtt.items():
        yield f"mqtt.{name}.password_file", partial(password_of, broker)
        yield f"mqtt.{name}", partial(tls_of, broker.ca, broker.certificate, broker.key)
    for name, receiver in config.webhooks.items():
        for number, secret in enumerate(receiver.secret_files):
            yield f"webhooks.{name}.secret_files.{number}", partial(signing_key, secret)
        yield f"webhooks.{name}.ca", partial(tls_of, receiver.ca)
