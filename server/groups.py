"""Groups of frames in the store: a key frame and the frames predicted from it, kept and let go of as a whole.

What decides about a group runs within the store as one script: between the look at a camera's last key frame and the
storing of a frame that needs it nothing else happens, whatever other servers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from secondsight import store_keys


@dataclass(frozen=True)
class KeyFrame:
    """A key frame as frames predicted from it refer to it. `name` is that of its machine layer's header."""

    session: int
    sequence: int
    name: int

    @property
    def place(self) -> tuple[int, int]:
        """Session and sequence, which order the frames of a camera."""
        return self.session, self.sequence

    @property
    def entry_id(self) -> str:
        """Its name within its camera."""
        return store_keys.entry_id(*self.place)

    def __str__(self) -> str:
        return f"{self.entry_id} (machine layer {self.name:016x})"


_LET_GO: Final = """
local frames, keys = KEYS[1], KEYS[2]

-- Frames that the camera has ever stored. Only old frames are ever removed, so of two ordinals the difference is
-- how many frames lie between them.
local function stored_so_far()
  if redis.call('EXISTS', frames) == 0 then return 0 end
  local stream = redis.call('XINFO', 'STREAM', frames)
  for at = 1, #stream, 2 do
    if stream[at] == 'entries-added' then return stream[at + 1] end
  end
end

local function from_key_on(key, stored)
  return stored - tonumber(key[2][4]) + 1
end

-- Let go of the oldest groups while at least `kept` frames stay. Frames in front of the first key frame in the list
-- were stored before there was one: they need no other, and go one by one.
local function let_go(stored, kept)
  local first = redis.call('XRANGE', keys, '-', '+', 'COUNT', 1)[1]
  local start = '-'
  repeat
    local batch = redis.call('XRANGE', keys, start, '+', 'COUNT', 16)
    for _, key in ipairs(batch) do
      if from_key_on(key, stored) < kept then
        batch = {}
        break
      end
      first = key
      start = '(' .. key[1]
    end
  until #batch < 16
  local whole = 0
  if first then
    whole = from_key_on(first, stored)
    redis.call('XTRIM', keys, 'MINID', first[1])
  end
  return redis.call('XTRIM', frames, 'MAXLEN', math.max(kept, whole))
end
"""

LET_GO: Final = (
    _LET_GO
    + """
return let_go(stored_so_far(), tonumber(ARGV[1]))
"""
)
"""KEYS: a camera's frames, its keys. ARGV: frames to keep, at least. Gives how many frames went."""

APPEND: Final = (
    _LET_GO
    + """
local id, frame, key_id, key_name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local kept, longest = tonumber(ARGV[5]), tonumber(ARGV[6])
local stored = stored_so_far()
if key_id ~= id then
  local last = redis.call('XREVRANGE', keys, '+', '-', 'COUNT', 1)[1]
  if not last then return {'no key'} end
  if last[1] ~= key_id or last[2][2] ~= key_name then return {'other key', last[1], last[2][2]} end
  if from_key_on(last, stored) >= longest then return {'group is full', last[1], last[2][2]} end
end
redis.call('XADD', frames, id, 'frame', frame)
if key_id == id then
  redis.call('XADD', keys, id, 'name', key_name, 'ordinal', stored + 1)
end
let_go(stored + 1, kept)
return {'stored'}
"""
)
"""KEYS: as for LET_GO. ARGV: the frame's id, the frame, id and name of its key frame (its own when it is one), frames
to keep at least, frames of the longest group. Gives what became of it, and with a refusal the last key frame."""


STORED: Final = [b"stored"]
"""APPEND's reply when it has stored the frame."""


def key_frame(entry_id: bytes, fields: dict[bytes, bytes]) -> KeyFrame:
    """An entry of the stream of key frames."""
    return KeyFrame(*store_keys.parse_entry_id(entry_id.decode()), int(fields[store_keys.NAME_FIELD]))


def refusal(reply: Sequence[Any]) -> tuple[str, KeyFrame | None]:
    """What APPEND says when it has stored nothing: why, and the camera's last key frame."""
    why, *last = reply
    key = key_frame(last[0], {store_keys.NAME_FIELD: last[1]}) if last else None
    return why.decode(), key
