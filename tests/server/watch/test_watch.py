"""Frames of a camera under its rules: a scene of boxes that walk by."""

from __future__ import annotations

from server.recognition import Detection
from server.watch.rules import CameraRules, Zone
from server.watch.watch import Happening, Watch, Watched

SIZE = (200, 100)
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def person(x: float, y: float = 60.0, score: float = 0.9, label: str = "person") -> Detection:
    """One of 20x40 pixels, standing at (x, y)."""
    return Detection(label, score, x - 10, y - 40, x + 10, y)


class Scene:
    """Frames a fifth of a second apart."""

    def __init__(self, rules: CameraRules) -> None:
        self.watch = Watch(rules)
        self._frames = 0
        self.now_s = 1000.0

    def frame(self, *detections: Detection, after_s: float = 0.2) -> Watched:
        self._frames += 1
        self.now_s += after_s
        return self.watch.look(detections, frame=f"3-{self._frames}", at_s=self.now_s, size=SIZE)


def told(watched: Watched) -> list[tuple[Happening, str]]:
    return [(event.happening, event.track) for event in watched.events]


def test_what_is_not_wanted_is_not_published() -> None:
    rules = CameraRules(labels=frozenset({"person"}), minimum_score=0.5, minimum_size=0.02)
    small = Detection("person", 0.9, 0, 0, 10, 39)
    watched = Scene(rules).frame(person(50), person(50, score=0.4), person(90, label="dog"), small)
    assert [noticed.detection for noticed in watched.noticed] == [person(50)]


def test_without_tracking_zones_are_those_of_the_frame() -> None:
    scene = Scene(CameraRules(zones={"right": Zone(polygon=RIGHT, alert=True)}))
    left, right = scene.frame(person(50)), scene.frame(person(50), person(150))
    assert ([noticed.zones for noticed in left.noticed], left.alert) == ([()], False)
    assert ([noticed.zones for noticed in right.noticed], right.alert) == ([(), ("right",)], True)
    assert right.events == ()


def test_a_thing_keeps_its_name_while_it_walks_and_ends_when_it_is_gone() -> None:
    scene = Scene(CameraRules(track=True, lost_after_s=1.0))
    assert scene.frame(person(50)).events == ()
    first = scene.frame(person(53))
    ((happening, track),) = told(first)
    assert (happening, track) == (Happening.NEW, "3-2-0")
    for x in (56, 59, 62):
        watched = scene.frame(person(x))
        assert [noticed.track for noticed in watched.noticed] == [track]
        assert watched.events == ()
    assert scene.frame().events == ()
    assert [noticed.track for noticed in scene.frame(person(68)).noticed] == [track]
    for _ in range(4):
        assert scene.frame().events == ()
    ended = scene.frame(after_s=0.3)
    assert told(ended) == [(Happening.END, track)]
    (event,) = ended.events
    assert round(event.last_seen_s - event.first_seen_s, 3) == 1.0
    assert event.detection == person(68)


def test_two_things_have_two_names() -> None:
    scene = Scene(CameraRules(track=True))
    for step in range(4):
        watched = scene.frame(person(40 + 3 * step), person(160 - 3 * step))
    tracks = [noticed.track for noticed in watched.noticed]
    assert len(set(tracks)) == 2
    assert "" not in tracks


def test_a_zone_is_entered_when_the_dwell_time_is_over_and_left_at_once() -> None:
    zone = Zone(polygon=RIGHT, dwell_s=0.5, alert=True)
    scene = Scene(CameraRules(track=True, zones={"right": zone}))
    scene.frame(person(94))
    scene.frame(person(97))
    outside = [scene.frame(person(x)) for x in (100, 103, 106)]
    assert not any(watched.alert for watched in outside)
    inside = scene.frame(person(109), after_s=0.3)
    assert [event.happening for event in inside.events] == [Happening.UPDATE]
    assert (inside.noticed[0].zones, inside.alert, inside.events[0].alert) == (("right",), True, True)
    again = scene.frame(person(106))
    assert (again.noticed[0].zones, again.alert) == (("right",), False)
    back = [scene.frame(person(x)) for x in (102, 98)][-1]
    assert [(event.happening, event.zones) for event in back.events] == [(Happening.UPDATE, ())]


def test_a_clock_that_goes_back_does_not_end_anything() -> None:
    scene = Scene(CameraRules(track=True))
    for x in (50, 53, 56):
        watched = scene.frame(person(x))
    track = watched.noticed[0].track
    back = scene.frame(person(59), after_s=-3600)
    assert (back.noticed[0].track, back.events) == (track, ())


def test_things_stay_known_under_other_rules() -> None:
    zones = {"right": Zone(polygon=RIGHT, dwell_s=0.5)}
    scene = Scene(CameraRules(track=True, zones=zones))
    for _ in range(3):
        scene.frame(person(150))
    dwelt = scene.frame(person(150), after_s=0.3)
    ((_, track),) = told(dwelt)
    assert dwelt.noticed[0].zones == ("right",)

    scene.watch.follow(CameraRules(track=True, zones=zones, minimum_score=0.5))
    watched = scene.frame(person(150))
    assert (watched.noticed[0].track, watched.noticed[0].zones) == (track, ("right",))

    redrawn = {"right": Zone(polygon=(*RIGHT, (0.5, 0.5)), dwell_s=0.5)}
    scene.watch.follow(CameraRules(track=True, zones=redrawn))
    assert scene.frame(person(150)).noticed[0].zones == ()
    for _ in range(3):
        watched = scene.frame(person(150))
    assert (watched.noticed[0].track, watched.noticed[0].zones) == (track, ("right",))

    scene.watch.follow(CameraRules())
    assert scene.frame(person(150)).noticed[0].track == ""
    scene.watch.follow(CameraRules(track=True))
    scene.frame(person(150))
    ((happening, again),) = told(scene.frame(person(150)))
    assert happening is Happening.NEW
    assert again != track
