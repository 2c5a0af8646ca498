"""The metrics of one process."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from secondsight.secrets import without_secrets
from secondsight.status.errors import AddressError, KeyInTheClearError

_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 32 * 2**20
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

Labels = dict[str, str]


@dataclass(frozen=True)
class Scrape:
    """What a process answered. `failure` says why there is nothing; then `samples` is empty."""

    address: str
    samples: dict[str, list[tuple[Labels, float]]]
    failure: str = ""

    def value(self, name: str, **labels: str) -> float | None:
        """The sample of this name and exactly these labels."""
        return next((value for found, value in self.samples.get(name, ()) if found == labels), None)

    def total(self, name: str) -> float:
        """The sum of all samples of this name."""
        return sum(value for _, value in self.samples.get(name, ()))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Samples with these labels among theirs, by another label; those of one value are added up."""
        found: defaultdict[str, float] = defaultdict(float)
        for theirs, value in self.samples.get(name, ()):
            if label in theirs and labels.items() <= theirs.items():
                found[theirs[label]] += value
        return dict(found)

    def one(self, name: str, label: str, **labels: str) -> str | None:
        """Value of the label whose sample is 1."""
        return next((key for key, value in self.by(name, label, **labels).items() if value == 1), None)


def scrape(address: str, api_key: str | None, ca: Path | None) -> Scrape:
    """Ask `address`, the base of the process (http://HOST:PORT), for its metrics.

    Raises:
        AddressError: it is no such address.
        KeyInTheClearError: the key would be sent without TLS beyond this machine.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressError(f"{address!r} cannot be asked: give http://HOST:PORT or https://HOST:PORT")
    request = urllib.request.Request(f"{address.rstrip('/')}/metrics")
    if api_key is not None:
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise KeyInTheClearError(
                f"the API key would go to {parts.hostname} in the clear: use https://, or ask on that machine"
            )
        request.add_header("Authorization", f"Bearer {api_key}")
    context = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as response:
            return Scrape(address, _samples(response.read(_MOST_BYTES).decode()))
    except urllib.error.HTTPError as error:
        remedy = "; give an API key (--api-key)" if error.code in (401, 403) else ""
        return Scrape(address, {}, f"answers {error.code} {error.reason}{remedy}")
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Scrape(address, {}, without_secrets(f"cannot be read: {reason}"))


def _samples(text: str) -> dict[str, list[tuple[Labels, float]]]:
    samples: defaultdict[str, list[tuple[Labels, float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name].append((dict(sample.labels), sample.value))
    return dict(samples)
