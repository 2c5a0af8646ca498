"""What Home Assistant is told so that it knows our topics (its "MQTT discovery").

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from server.relay.sightings import Key
from server.relay.topics import OFFLINE, ONLINE, Topics, part

Entity = tuple[str, dict[str, Any]]
"""Topic and payload that make an entity."""

_ORIGIN: Final = {"name": "Secondsight", "sw_version": version("secondsight")}
_THERE: Final = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}"
_CONNECTED: Final = "{{ 'OFF' if value == 'offline' else 'ON' }}"
_AVAILABLE: Final = "{{ 'offline' if value == 'offline' else 'online' }}"


class Discovery:
    """The entities of one prefix.

    Args:
        prefix: of Home Assistant's topics.
        address: of the server's console.
    """

    def __init__(self, topics: Topics, prefix: str, address: str) -> None:
        self.birth = f"{prefix}/status"
        self._topics = topics
        self._prefix = prefix
        self._address = address

    def of_camera(self, camera: str) -> Iterator[Entity]:
        """Whether it is there, and whether somebody has to look."""
        yield self._entity(
            camera,
            "binary_sensor",
            "connected",
            name="Connected",
            device_class="connectivity",
            entity_category="diagnostic",
            state_topic=self._topics.state(camera),
            value_template=_CONNECTED,
            availability=[self._relay_there],
        )
        yield self._entity(
            camera,
            "binary_sensor",
            "alert",
            name="Alert",
            icon="mdi:alert",
            state_topic=self._topics.alert(camera),
        )

    def of_count(self, camera: str, key: Key) -> Iterator[Entity]:
        """Whether there is any, and how many."""
        zone, label = key
        name = f"{zone} {label}".strip().replace("_", " ").capitalize()
        there = f"{part(zone)}_{part(label)}" if zone else part(label)
        topic = self._topics.count(camera, key)
        yield self._entity(
            camera,
            "binary_sensor",
            f"occupied_{there}",
            name=name,
            device_class="occupancy",
            state_topic=topic,
            value_template=_THERE,
        )
        yield self._entity(
            camera,
            "sensor",
            f"count_{there}",
            name=f"{name} count",
            state_class="measurement",
            icon="mdi:counter",
            state_topic=topic,
        )

    @property
    def _relay_there(self) -> dict[str, str]:
        return {
            "topic": self._topics.available,
            "payload_available": ONLINE,
            "payload_not_available": OFFLINE,
        }

    def _entity(self, camera: str, component: str, called: str, **payload: Any) -> Entity:
        node = f"{part(self._topics.prefix)}_{camera}"
        camera_there = {"topic": self._topics.state(camera), "value_template": _AVAILABLE}
        return f"{self._prefix}/{component}/{node}/{called}/config", {
            "unique_id": f"{node}_{called}",
            "availability": [self._relay_there, camera_there],
            "availability_mode": "all",
            "qos": 1,
            "device": {
                "identifiers": [node],
                "name": camera,
                "manufacturer": "Secondsight",
                "model": "Camera",
                "configuration_url": f"{self._address}/#/cameras/{camera}",
            },
            "origin": _ORIGIN,
            **payload,
        }
