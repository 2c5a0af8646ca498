"""What a relay counts, for Prometheus. The label `target` has the names in its configuration."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

RESULTS: Final = Counter("secondsight_relay_results", "Results that a target is done with.", ["target"])
BEHIND: Final = Gauge(
    "secondsight_relay_behind_seconds",
    "From the making of the last result that a target is done with to then, across two clocks.",
    ["target"],
)
MISSED: Final = Counter(
    "secondsight_relay_missed",
    "Times that the server no longer had the results after the last one handed to a target.",
    ["target"],
)
CONNECTED: Final = Gauge(
    "secondsight_relay_connected", "1 while a target has its server, and its receiver.", ["target", "side"]
)
MESSAGES: Final = Counter("secondsight_relay_messages", "MQTT messages taken by a broker.", ["target"])
EVENTS: Final = Counter(
    "secondsight_relay_events", "Events of a webhook: delivered, or dead letters.", ["target", "outcome"]
)
ATTEMPTS_FAILED: Final = Counter(
    "secondsight_relay_attempts_failed",
    "Attempts to deliver an event that failed, by the answer's status; `none` without an answer.",
    ["target", "status"],
)
DEAD_LETTERS: Final = Gauge("secondsight_relay_dead_letters", "Dead letters on disk.", ["target"])
