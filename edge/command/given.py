"""What the options of `secondsight edge` say to its sub-commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.config import SiteConfig
from edge.errors import ConfigError


def _no_camera() -> SiteConfig:
    raise ConfigError("no camera is given: give a site file (--config)")


@dataclass(frozen=True)
class Given:
    """The options before the sub-command.

    Attributes:
        one_camera: the site that the options of one camera make; raises ConfigError.
    """

    config: Path | None = None
    secrets: Path | None = None
    one_camera: Callable[[], SiteConfig] = _no_camera
