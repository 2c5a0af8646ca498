"""Polygons, and what stands in them."""

from __future__ import annotations

import pytest

from server.recognition import Detection
from server.watch.rules import Zone
from server.watch.zones import contains, zones_of

SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
NOTCHED = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.4), (0.0, 1.0))


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (0.4, 0.4), True),
        (SQUARE, (0.7, 0.4), False),
        (SQUARE, (0.4, 0.7), False),
        (SQUARE, (0.1, 0.2), False),  # on the line of an edge, beside it
        (SQUARE, (0.2, 0.4), True),  # on an edge
        (SQUARE, (0.6, 0.6), True),  # on a corner
        (SQUARE[::-1], (0.4, 0.4), True),
        (NOTCHED, (0.5, 0.6), False),
        (NOTCHED, (0.5, 0.3), True),
        (NOTCHED, (0.1, 0.8), True),
        (NOTCHED, (0.9, 0.4), True),  # at the height of the notch's corner
    ],
)
def test_a_point_is_in_a_polygon(
    polygon: tuple[tuple[float, float], ...], point: tuple[float, float], inside: bool
) -> None:
    assert contains(polygon, point) is inside


def test_a_thing_is_where_it_stands() -> None:
    zones = {"square": Zone(polygon=SQUARE)}
    # The box reaches into the square, its lower edge is beneath it.
    assert zones_of(Detection("person", 0.9, 80, 50, 120, 140), zones, (200, 200)) == ()
    assert zones_of(Detection("person", 0.9, 80, 10, 120, 110), zones, (200, 200)) == ("square",)


def test_a_zone_may_be_about_some_things_alone() -> None:
    zones = {
        "cars": Zone(polygon=SQUARE, labels=frozenset({"car"})),
        "sure": Zone(polygon=SQUARE, minimum_score=0.8),
        "all": Zone(polygon=SQUARE),
    }
    box = (80.0, 10.0, 120.0, 100.0)
    assert zones_of(Detection("car", 0.5, *box), zones, (200, 200)) == ("cars", "all")
    assert zones_of(Detection("person", 0.9, *box), zones, (200, 200)) == ("sure", "all")
