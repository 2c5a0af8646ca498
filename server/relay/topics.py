"""MQTT topics. Below the prefix:

=============================  ========  ===========================================================
topic                          retained  payload
=============================  ========  ===========================================================
``available``                  yes       ``online`` or ``offline``: the relay itself
``events``                     no        a thing is new, has changed or has gone, as Frigate tells it
``results``                    no        every result, where that is asked for
``CAMERA/LABEL``               yes       how many there are now
``CAMERA/ZONE/LABEL``          yes       how many of them in a zone
``CAMERA/status/state``        yes       ``live``, ``stale`` or ``offline``
``CAMERA/status/alert``        yes       ``ON`` or ``OFF``
=============================  ========  ===========================================================
"""

from __future__ import annotations

import re
from typing import Final

from server.relay.sightings import Key

ONLINE: Final = "online"
OFFLINE: Final = "offline"
_STATUS: Final = "status"
_NO_PART: Final = re.compile(r"[^\w-]", re.ASCII)


def part(name: str) -> str:
    """A name as a level of a topic: the signs of wildcards, levels and spaces become ``_``."""
    return _NO_PART.sub("_", name)


class Topics:
    """Those below one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.available = f"{prefix}/available"
        self.events = f"{prefix}/events"
        self.results = f"{prefix}/results"
        self.counts_filters = (f"{prefix}/+/+", f"{prefix}/+/+/+")

    def count(self, camera: str, key: Key) -> str:
        """Of how many there are."""
        zone, label = key
        return "/".join((self.prefix, camera, *([part(zone)] if zone else []), part(label)))

    def state(self, camera: str) -> str:
        """Of whether a camera's frames come."""
        return f"{self.prefix}/{camera}/{_STATUS}/state"

    def alert(self, camera: str) -> str:
        """Of whether somebody has to look."""
        return f"{self.prefix}/{camera}/{_STATUS}/alert"

    def counted(self, topic: str) -> tuple[str, Key] | None:
        """Camera and key of a count's topic; None for any other topic."""
        camera, *rest = topic.removeprefix(f"{self.prefix}/").split("/")
        if not rest or rest[0] == _STATUS:
            return None
        return camera, ("", rest[0]) if len(rest) == 1 else (rest[0], rest[1])
