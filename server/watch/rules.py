"""Rules of cameras, from a YAML file::

default:                      # cameras that are not named below
  minimum_score: 0.4
cameras:
  gate:
    labels: [person, car]     # nothing else is published
    minimum_size: 0.001       # share of the picture that a box has to cover
    track: true               # the same thing keeps its name from frame to frame
    zones:
      drive:
        polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]]  # shares of width and height
        labels: [car]
        minimum_score: 0.5
        dwell_s: 10           # a thing is in the zone only after so long
        alert: true           # and then somebody has to look
    retention:                # of enhancement layers, where the server's --retain-... do not fit
      detection_s: 86400      # of frames in which something was recognised
      alert_s: 1209600        # of frames that somebody has to look at
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from secondsight.store_keys import InvalidCameraIdError, checked_camera_id
from secondsight.yaml_tree import YamlTreeError, parse_yaml
from server.errors import RulesError
from server.plain_text import plain_name

Share = Annotated[float, Field(ge=0, le=1)]
_MOST_ZONES = 64
_MOST_CORNERS = 256
_LONGEST_LABEL = 256
_YEAR_S = 366 * 24 * 3600
TRACKING_MISSING: Final = (
    "track things, which takes packages that are not installed: "
    "pip install --no-deps -r requirements/tracking.txt"
)


def can_track() -> bool:
    """Whether the packages that tracking takes are installed."""
    return find_spec("trackers") is not None


def _camera_name(name: str) -> str:
    try:
        return checked_camera_id(name)
    except InvalidCameraIdError as error:
        raise ValueError(str(error)) from error


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Label = Annotated[str, Field(max_length=_LONGEST_LABEL), AfterValidator(plain_name)]


class _Labelled(_Strict):
    labels: frozenset[Label] | None = Field(default=None, max_length=1024)

    @field_serializer("labels")
    def _in_order(self, labels: frozenset[str] | None) -> list[str] | None:
        return None if labels is None else sorted(labels)


class Zone(_Labelled):
    """A part of the picture.

    Attributes:
        polygon: its corners, (share of the width, share of the height), in order; the last is joined to the first.
        labels: only these count; None counts all that the camera publishes.
        minimum_score: only detections from this score on count.
        dwell_s: seconds for which a thing has to stay. Needs tracking.
        alert: whether somebody has to look at what is in it.
    """

    polygon: tuple[tuple[Share, Share], ...] = Field(min_length=3, max_length=_MOST_CORNERS)
    minimum_score: Share = 0.0
    dwell_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    alert: bool = False

    @field_validator("polygon")
    @classmethod
    def _covers_something(cls, polygon: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        (left, top), *_ = polygon
        across = [(x - left, y - top) for x, y in polygon]
        if all(
            abs(x * later_y - later_x * y) == 0.0 for (x, y), (later_x, later_y) in combinations(across, 2)
        ):
            raise ValueError("its corners lie on one line, so that nothing can be in it")
        return polygon


class Retention(_Strict):
    """How long enhancement layers in a store that the server reaches are kept, in seconds; None as the server has it.

    Attributes:
        detection_s: when something was recognised; never longer than of an alert.
        alert_s: when somebody has to look at it.
    """

    detection_s: Annotated[float, Field(gt=0, le=_YEAR_S)] | None = None
    alert_s: Annotated[float, Field(gt=0, le=_YEAR_S)] | None = None

    @model_validator(mode="after")
    def _alerts_longest(self) -> Retention:
        if self.detection_s is not None and self.alert_s is not None and self.detection_s > self.alert_s:
            raise ValueError(
                "detection_s is above alert_s: an alert is kept for at least as long as a detection"
            )
        return self


class CameraRules(_Labelled):
    """What is published of one camera's detections, and where it matters.

    Attributes:
        labels: only these are published; None publishes all.
        minimum_score: nothing below it is published.
        minimum_size: share of the picture that a box has to cover.
        track: give things names that last from frame to frame, and tell when they come and go.
        lost_after_s: seconds without being seen after which a thing has gone.
        zones: by name.
        retention: of the camera's enhancement layers.
    """

    minimum_score: Share = 0.0
    minimum_size: Share = 0.0
    track: bool = False
    lost_after_s: Annotated[float, Field(gt=0, le=3600)] = 3.0
    zones: dict[Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain_name)], Zone] = Field(
        default_factory=dict, max_length=_MOST_ZONES
    )
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _dwell_needs_tracks(self) -> CameraRules:
        for name, zone in self.zones.items():
            if zone.dwell_s and not self.track:
                raise ValueError(
                    f"zone {name} has dwell_s, which needs the same thing to be known again: set track"
                )
        return self


class Rules(_Strict):
    """Rules of all cameras."""

    default: CameraRules = CameraRules()
    cameras: dict[Annotated[str, AfterValidator(_camera_name)], CameraRules] = Field(default_factory=dict)

    def of(self, camera_id: str) -> CameraRules:
        """The rules of a camera."""
        return self.cameras.get(camera_id, self.default)

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Rules from a YAML file.

        Raises:
            RulesError: it cannot be read, or says what cannot be.
        """
        try:
            content = parse_yaml(path.read_text("utf-8")).root
        except (OSError, UnicodeDecodeError, YamlTreeError) as error:
            raise RulesError(f"the rules in {path} cannot be read: {error}") from error
        try:
            rules = cls.model_validate(content or {})
        except ValidationError as error:
            raise RulesError(f"the rules in {path} cannot be: {told_faults(error)}") from error
        if any(each.track for each in (rules.default, *rules.cameras.values())) and not can_track():
            raise RulesError(f"the rules in {path} {TRACKING_MISSING}")
        return rules


def told_faults(error: ValidationError) -> str:
    """What is wrong with a document, and where."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()
    )
