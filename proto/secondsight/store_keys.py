"""Names of the keys in the Redis store: the part of the contract that edge and server share beside the messages.

Every key of a camera carries its name as a hash tag (``{front-door}:frames``), so that one camera is one slot of a
cluster. Values are protobuf messages of ``secondsight.v1`` or raw bitstreams.

=========================================  ======  ========================================================  =========
key                                        type    holds                                                     lives
=========================================  ======  ========================================================  =========
``secondsight:cameras``                    hash    camera -> time of its last stored frame, ns since epoch   for ever
``secondsight:sessions``                   string  last session number issued                                for ever
``secondsight:recognisers``                hash    task -> what recognises, with its labels, JSON               for ever
``{camera}:frames``                        stream  id ``session-sequence``; field ``frame`` = Frame          bounded
``{camera}:keys``                          stream  keys in ``frames``: id ``session-sequence``;              as frames
                                                   ``name`` of the machine layer, ``ordinal`` in ``frames``
``{camera}:results``                       stream  id ``session-sequence``; field ``result`` =               bounded
                                                   RecognitionResult of the default task
``{camera}:results:TASK``                  stream  likewise, of another task                                 bounded
``secondsight:workers:TASK``               zset    workers of a task, by when they were last there, ms       for ever
``{camera}:worker:TASK``                   hash    ``worker`` that has the camera's frames, ``until`` when,  for ever
                                                   ms since epoch by the store's clock
``{camera}:dead:TASK``                     stream  frames given up after too many tries, ``reason``,         bounded
                                                   ``frame``
``{camera}:minutes:TASK:HOUR``             hash    minute of the hour -> what a task saw in it; HOUR counts   days of
                                                   from the epoch, by the frames' clock                       history
``{camera}:hours:TASK:DAY``                hash    hour of the day -> likewise                                likewise
``{camera}:labels:TASK``                   hash    label -> its number in these records                       for ever
``{camera}:things:TASK``                   hash    thing -> when and how it was seen                          likewise
``{camera}:things:TASK:ordinary``          zset    things by when they were first seen, ms since epoch        likewise
``{camera}:things:TASK:alerts``            zset    likewise, of those that are alerts                         likewise
``{camera}:things:TASK:open``              hash    label -> its last thing that has no track                  likewise
``{camera}:session``                       string  the session that may write; until it stores, for a day    for ever
``{camera}:enhancement:SESSION-SEQUENCE``  string  the enhancement layer's bitstream                         its TTL
``{camera}:wanted``                        stream  what the edge is to be told: field ``request`` =              bounded
                                                   EnhancementRequest, or ``retain`` = Retain
``{camera}:asked:SESSION-SEQUENCE``        string  state of a request for a layer: ``waiting``, ``gone`` or      its TTL
                                                   ``unavailable``
``{camera}:retained``                      zset    frame -> until when its layer is kept, ms since epoch,        bounded
                                                   where that is longer than its receipt says
``{camera}:kept:SESSION-SEQUENCE``         hash    copy of a frame that is to outlive its stream: ``frame``,     its TTL
                                                   ``result``
``{camera}:kept``                          zset    frame -> until when its copy is kept, ms since epoch      bounded
``{camera}:marks``                         hash    mark -> what an operator said of a result, JSON             bounded
``{camera}:marks:order``                   zset    marks by frame; all scores are 0                            bounded
``{camera}:uplink``                        string  the uplink that reads ``wanted``                              its TTL
``{camera}:rules``                         string  the camera's rules, JSON of ``server.watch.rules``         for ever
``secondsight:rules``                      string  those of cameras that have none of their own              for ever
``{camera}:edge``                          string  what the edge has told of itself: an EdgeReport               its TTL
=========================================  ======  ========================================================  =========

``frames`` consists of groups: a key frame, then the frames predicted from it. A group is let go of as a whole, so that
whatever is stored can be decoded. ``keys`` tells where groups begin, without a frame being read: ``name`` (decimal) is
what the headers of predicted machine layers refer to, ``ordinal`` counts the frames that the camera had ever stored
when it stored this one.
"""

from __future__ import annotations

import re
from typing import Final

CAMERAS: Final = "secondsight:cameras"
SESSIONS: Final = "secondsight:sessions"
DEFAULT_RULES: Final = "secondsight:rules"
RECOGNISERS: Final = "secondsight:recognisers"

DEFAULT_TASK: Final = "recognise"
"""Consumer group of a camera's frames unless another one is named. A task's name follows the rules of a camera's."""

FRAME_FIELD: Final = b"frame"
RESULT_FIELD: Final = b"result"
NAME_FIELD: Final = b"name"
ORDINAL_FIELD: Final = b"ordinal"
REQUEST_FIELD: Final = b"request"
RETAIN_FIELD: Final = b"retain"

CAMERA_ID_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,63}"
_CAMERA_ID: Final = re.compile(CAMERA_ID_PATTERN)
_ENTRY_ID: Final = re.compile(r"(\d{1,20})-(\d{1,20})")
_LARGEST_UINT64: Final = 2**64 - 1


class InvalidCameraIdError(ValueError):
    """A camera name outside ``[a-z0-9][a-z0-9_-]{0,63}``."""


class InvalidEntryIdError(ValueError):
    """A frame name that is not ``SESSION-SEQUENCE``."""


def checked_camera_id(camera_id: str) -> str:
    """Return `camera_id` when it may be part of a key.

    Raises:
        InvalidCameraIdError: it may not.
    """
    if _CAMERA_ID.fullmatch(camera_id) is None:
        raise InvalidCameraIdError(
            f"{camera_id!r} is no camera name: use 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit"
        )
    return camera_id


def entry_id(session: int, sequence: int) -> str:
    """Name of a frame within its camera, also its id in the camera's streams."""
    return f"{session}-{sequence}"


def parse_entry_id(text: str) -> tuple[int, int]:
    """Session and sequence of a name that `entry_id` made.

    Raises:
        InvalidEntryIdError: `text` is no such name.
    """
    match = _ENTRY_ID.fullmatch(text)
    if match is None or max(numbers := (int(match[1]), int(match[2]))) > _LARGEST_UINT64:
        raise InvalidEntryIdError(f"{text!r} is no frame name: it has the form SESSION-SEQUENCE, as in 3-120")
    return numbers


def all_of(camera_id: str) -> str:
    """Pattern (SCAN) of every key of a camera."""
    return f"{{{camera_id}}}:*"


def frames(camera_id: str) -> str:
    """Stream of a camera's stored frames."""
    return f"{{{camera_id}}}:frames"


def keys(camera_id: str) -> str:
    """Stream of a camera's stored key frames, by name alone."""
    return f"{{{camera_id}}}:keys"


def results(camera_id: str, task: str = DEFAULT_TASK) -> str:
    """Stream of what a recognition task has seen in a camera's frames."""
    return f"{{{camera_id}}}:results" if task == DEFAULT_TASK else f"{{{camera_id}}}:results:{task}"


def worker(camera_id: str, task: str) -> str:
    """The worker that has a camera's frames for a task."""
    return f"{{{camera_id}}}:worker:{task}"


def workers(task: str) -> str:
    """Workers of a task that are there."""
    return f"secondsight:workers:{task}"


def dead(camera_id: str, task: str) -> str:
    """Stream of a camera's frames that a task has given up."""
    return f"{{{camera_id}}}:dead:{task}"


def minutes(camera_id: str, task: str, hour: int) -> str:
    """What a task saw in the minutes of an hour since the epoch."""
    return f"{{{camera_id}}}:minutes:{task}:{hour}"


def hours(camera_id: str, task: str, day: int) -> str:
    """What a task saw in the hours of a day since the epoch."""
    return f"{{{camera_id}}}:hours:{task}:{day}"


def labels(camera_id: str, task: str) -> str:
    """Numbers of labels in records of the history."""
    return f"{{{camera_id}}}:labels:{task}"


def things(camera_id: str, task: str) -> str:
    """Things that a task saw."""
    return f"{{{camera_id}}}:things:{task}"


def things_in_order(camera_id: str, task: str, *, alerts: bool) -> str:
    """Things, those that are alerts or the others, by when they were first seen."""
    return f"{{{camera_id}}}:things:{task}:{'alerts' if alerts else 'ordinary'}"


def history_patterns(task: str) -> tuple[str, ...]:
    """What a task's history is found by, of all cameras."""
    kinds = (f"minutes:{task}:*", f"hours:{task}:*", f"labels:{task}", f"things:{task}", f"things:{task}:*")
    return tuple(f"{{*}}:{kind}" for kind in kinds)


def things_open(camera_id: str, task: str) -> str:
    """The last thing without a track of every label."""
    return f"{{{camera_id}}}:things:{task}:open"


def edge(camera_id: str) -> str:
    """What a camera's edge has told of itself: an EdgeReport."""
    return f"{{{camera_id}}}:edge"


def rules(camera_id: str) -> str:
    """What is published of a camera's detections, its zones, and how long its layers live."""
    return f"{{{camera_id}}}:rules"


def wanted(camera_id: str) -> str:
    """Stream of what a camera's edge is to be told about enhancement layers."""
    return f"{{{camera_id}}}:wanted"


def asked(camera_id: str, session: int, sequence: int) -> str:
    """How far a request to the edge for a frame's enhancement layer is."""
    return f"{{{camera_id}}}:asked:{entry_id(session, sequence)}"


def retained(camera_id: str) -> str:
    """Frames of a camera whose enhancement layers are kept for longer than their receipts say."""
    return f"{{{camera_id}}}:retained"


def kept(camera_id: str, session: int, sequence: int) -> str:
    """Copy of a frame that is to outlive its stream."""
    return f"{{{camera_id}}}:kept:{entry_id(session, sequence)}"


def kept_index(camera_id: str) -> str:
    """Frames of a camera of which there are copies that outlive their stream."""
    return f"{{{camera_id}}}:kept"


def marks(camera_id: str) -> str:
    """What operators have said of a camera's results."""
    return f"{{{camera_id}}}:marks"


def marks_order(camera_id: str) -> str:
    """Names of a camera's marks, in the order of their frames."""
    return f"{{{camera_id}}}:marks:order"


def uplink(camera_id: str) -> str:
    """The uplink over which a camera's edge can be asked for enhancement layers."""
    return f"{{{camera_id}}}:uplink"


def session(camera_id: str) -> str:
    """Session that may write to a camera."""
    return f"{{{camera_id}}}:session"


def enhancement(camera_id: str, session: int, sequence: int) -> str:
    """Enhancement layer of one frame."""
    return f"{{{camera_id}}}:enhancement:{entry_id(session, sequence)}"
