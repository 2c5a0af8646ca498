"""What a recognition task does with a camera's frames, as scripts within the store.

Of one camera and task, one worker at a time has the lease: its name, and until when by the store's clock. It has no
time to live, because a full store lets go of what has one. Every script that hands out a frame or takes a result looks
at the lease first, so a worker that was paused for longer than its lease can do no harm, whenever it goes on.

All frames that are handed out and have no result are pending under one name in the group: the lease tells whose they
are. The scripts may go above the store's memory (``allow-oom``): their entries are small and bounded, and only a store
in which recognition goes on has frames that may be let go of.
"""

from __future__ import annotations

from typing import Final

from server.timeline.scripts import RECORD

HOLDER: Final = "holder"
"""The one consumer of every group."""

_LEASE: Final = """#!lua flags=allow-oom
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Who has the lease, or nil. One that lasts much longer than any is given was written under another clock, before the
-- store failed over.
local function holder(lease, longest)
  local name, ends = unpack(redis.call('HMGET', lease, 'worker', 'until'))
  local left = (tonumber(ends or '0') or 0) - now()
  if name and left > 0 and left <= 2 * longest then return name end
end
"""

TAKE: Final = (
    _LEASE
    + """
local me, longest, wants = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local has = holder(KEYS[1], longest)
if has == me or (not has and wants == '1') then
  redis.call('HSET', KEYS[1], 'worker', me, 'until', string.format('%.0f', now() + longest))
  return me
end
return has or false
"""
)
"""KEYS: a lease. ARGV: a worker, how long a lease lasts (ms), whether the worker takes a lease that nobody has (1).
Lengthens the worker's own. Gives who has it."""

GIVE_BACK: Final = """#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], 'worker') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
"""KEYS: a lease. ARGV: a worker, which no longer has it."""

ATTEND: Final = (
    _LEASE
    + """
local me, longest, leaves = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time - longest)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', time + longest), '+inf')
if leaves == '1' then redis.call('ZREM', KEYS[1], me)
else redis.call('ZADD', KEYS[1], string.format('%.0f', time), me) end
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
)
"""KEYS: the workers of a task. ARGV: a worker, for how long (ms) it counts as there, whether it leaves (1).
Gives all that are there."""

PRESENT: Final = (
    _LEASE
    + """
return redis.call('ZCOUNT', KEYS[1], string.format('%.0f', now() - tonumber(ARGV[1])), '+inf')
"""
)
"""KEYS: the workers of a task. ARGV: for how long (ms) a worker counts as there. Gives how many are there."""

CLAIM: Final = (
    _LEASE
    + """
local lease, frames = KEYS[1], KEYS[2]
local me, longest, group, consumer = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if holder(lease, longest) ~= me then return {'lost'} end
local pending = redis.call('XPENDING', frames, group, '-', '+', 1)[1]
if pending then
  local id = pending[1]
  local entry = redis.call('XRANGE', frames, id, id)[1]
  -- XCLAIM would let go of an entry that is not there, and its frame would never have a result.
  if not entry then return {'gone', id, pending[4]} end
  redis.call('XCLAIM', frames, group, consumer, 0, id)
  return {'frame', id, pending[4] + 1, entry[2][2]}
end
local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', frames, '>')
if not read then return {'none'} end
local entry = read[1][2][1]
return {'frame', entry[1], 1, entry[2][2]}
"""
)
"""KEYS: the lease, the camera's frames. ARGV: the worker, how long a lease lasts (ms), group, consumer. Gives the
oldest frame that has no result: its id, how often it was handed out, and itself."""

PUBLISH: Final = (
    _LEASE
    + RECORD
    + """
local lease, frames, results, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local me, longest, group, id, result, kept = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local given_up, dead_kept, entry, days, most_things = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
if holder(lease, longest) ~= me then return 'lost' end
if redis.call('XPENDING', frames, group, '-', '(' .. id, 1)[1] then return 'not its turn' end
local added = redis.pcall('XADD', results, 'MAXLEN', kept, id, 'result', result)
if type(added) == 'table' and added.err then
  if not string.find(added.err, 'equal or smaller', 1, true) then return added end
  redis.call('XACK', frames, group, id)
  return #redis.call('XRANGE', results, id, id) == 0 and 'too late' or 'repeated'
end
if given_up ~= '' then
  local entry = redis.call('XRANGE', frames, id, id)[1]
  redis.pcall('XADD', dead, 'MAXLEN', dead_kept, id, 'reason', given_up, 'frame', entry and entry[2][2] or '')
end
redis.call('XACK', frames, group, id)
-- Recognition goes on whatever lies where the history should be.
if entry ~= '' then pcall(record_frame, {unpack(KEYS, 5)}, entry, tonumber(days), tonumber(most_things)) end
return 'published'
"""
)
"""KEYS: the lease, the camera's frames, the task's results, its dead letters, and of its history the minutes, hours,
labels, things, their order, that of alerts, and the open ones. ARGV: the worker, how long a lease lasts (ms), group,
the frame's id, its result, results to keep, why the frame is given up (empty: it is not), dead letters to keep, what
the result adds to the history (empty: nothing), the history's days, things to keep of each kind. Gives what became of
it."""
