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

-- Frames that await the task which most of them await, those that await `task` (nil when the store cannot count them),
-- and, by task, how many were let go of before they were handed out.
local function awaiting(frames, task)
  local most, of_task, behind = 0, false, {}
  local length = redis.call('XLEN', frames)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', frames)) do
    local about = {}
    for at = 1, #group, 2 do about[group[at]] = group[at + 1] end
    if about['name'] == task then of_task = about['lag'] and about['lag'] + about['pending'] end
    most = math.max(most, math.min(length, (about['lag'] or length) + about['pending']))
    if about['lag'] and about['lag'] > length then behind[about['name']] = about['lag'] - length end
  end
  return most, of_task, behind
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

-- Have every task go on at the first frame that is left. Gives how many frames they did not get to see.
local function pass_over(stored)
  local passed_over = 0
  local _, _, behind = awaiting(frames, '')
  for task, missed in pairs(behind) do
    local first = redis.call('XRANGE', frames, '-', '+', 'COUNT', 1)[1]
    if first then
      local session, sequence = string.match(first[1], '(%d+)-(%d+)')
      local before = session .. '-' .. string.format('%.0f', math.max(0, tonumber(sequence) - 1))
      redis.call('XGROUP', 'SETID', frames, task, before, 'ENTRIESREAD', stored - redis.call('XLEN', frames))
      passed_over = passed_over + missed
    end
  end
  return passed_over
end
"""

LET_GO: Final = (
    _LET_GO
    + """
local stored = stored_so_far()
return {let_go(stored, tonumber(ARGV[1])), pass_over(stored)}
"""
)
"""KEYS: a camera's frames, its keys. ARGV: frames to keep, at least. Gives how many frames went, and how many of them
some task has not seen."""

LET_GO_OF_ALL: Final = (
    _LET_GO
    + """
if redis.call('EXISTS', frames) == 0 or #redis.call('XINFO', 'GROUPS', frames) == 0 then return 0 end
if awaiting(frames, '') > 0 then return 0 end
redis.call('XTRIM', keys, 'MAXLEN', 0)
return redis.call('XTRIM', frames, 'MAXLEN', 0)
"""
)
"""KEYS: a camera's frames, its keys. Lets go of the last group as well, unless one of its frames awaits a task: for
a key frame that finds no room otherwise. Gives how many frames went."""

APPEND: Final = (
    _LET_GO
    + """
local id, frame, key_id, key_name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local kept, longest, most, task = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
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
redis.call('PERSIST', KEYS[3])
local waiting, of_task = awaiting(frames, task)
local gone = let_go(stored + 1, math.max(kept, math.min(waiting, most)))
return {'stored', of_task or -1, gone > 0 and waiting > most and pass_over(stored + 1) or 0}
"""
)
"""KEYS: a camera's frames, its keys, its session. ARGV: the frame's id, the frame, id and name of its key frame (its
own when it is one), frames to keep at least, frames of the longest group, frames to keep at most because they await a
task, the task that counts the backlog. Gives what became of it; when it is stored, the backlog (-1: the store cannot
count it) and how many frames tasks did not get to see; with a refusal the last key frame."""


STORED: Final = b"stored"
"""What APPEND's reply begins with when it has stored the frame."""


def key_frame(entry_id: bytes, fields: dict[bytes, bytes]) -> KeyFrame:
    """An entry of the stream of key frames."""
    return KeyFrame(*store_keys.parse_entry_id(entry_id.decode()), int(fields[store_keys.NAME_FIELD]))


def refusal(reply: Sequence[Any]) -> tuple[str, KeyFrame | None]:
    """What APPEND says when it has stored nothing: why, and the camera's last key frame."""
    why, *last = reply
    key = key_frame(last[0], {store_keys.NAME_FIELD: last[1]}) if last else None
    return why.decode(), key
