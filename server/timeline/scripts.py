"""A camera's history in the store, as scripts within it.

A record is a MessagePack array: frames, bytes of machine layers, bytes of enhancement layers, frames that are alerts,
when the last enhancement layer's life is over (s since the epoch), then, in milliseconds since the minute or hour
began: the first frame's time and its name, the last one's, from when to when the longest pause was; then three numbers
for every label: its own, the most of it at once, the frames that it was in.

That of a thing: its label's number, first and last seen (ms since the epoch), best score (thousandths), the frame of
that, frames that it was in, the most at once, whether it is an alert, then its zones.

Labels have numbers of the camera's own, lest a record be longer than what a store keeps in its short form.
"""

from __future__ import annotations

from typing import Final

RECORD: Final = """
local MOST_LABELS, MOST_IN_RECORD, TRIM_AT_ONCE = 255, 32, 8
local LOST_AFTER, LONGEST_SIGHTING = 10000, 300000

local function unpacked(packed)
  local sound, value = pcall(cmsgpack.unpack, packed or '')
  return packed and sound and type(value) == 'table' and value
end

local function label_number(labels, name)
  local number = redis.call('HGET', labels, name)
  if number then return tonumber(number) end
  local known = redis.call('HLEN', labels)
  if known >= MOST_LABELS then return 0 end
  redis.call('HSET', labels, name, known + 1)
  return known + 1
end

-- The longest time without a frame. One that lies within it, because the clock went back, leaves the longer part.
local function note_pause(record, at)
  local first, last, from, to = record[6], record[8], record[10], record[11]
  if at > from and at < to then
    if at - from > to - at then record[11] = at else record[10] = at end
  elseif at >= last then
    if at - last > to - from then record[10], record[11] = last, at end
  elseif at < first then
    if first - at > to - from then record[10], record[11] = at, first end
  end
end

local function note_label(record, number, count)
  local place = 12
  while place < #record and record[place] ~= number do place = place + 3 end
  if place > #record then
    if place >= 12 + 3 * MOST_IN_RECORD then return end
    record[place], record[place + 1], record[place + 2] = number, 0, 0
  end
  record[place + 1] = math.max(record[place + 1], count)
  record[place + 2] = record[place + 2] + 1
end

-- Add a frame to the record of its minute or hour; `at` in ms since that began.
local function add(key, field, at, expires, entry, seen)
  local record = unpacked(redis.call('HGET', key, field))
  local new = not record
  record = record or {0, 0, 0, 0, 0, at, entry.id, at, entry.id, 0, 0}
  record[1] = record[1] + 1
  record[2] = record[2] + entry.machine
  record[3] = record[3] + entry.enhancement
  record[4] = record[4] + entry.alert
  record[5] = math.max(record[5], entry['until'])
  note_pause(record, at)
  if at < record[6] then record[6], record[7] = at, entry.id end
  if at >= record[8] then record[8], record[9] = at, entry.id end
  for number, count in pairs(seen) do note_label(record, number, count) end
  redis.call('HSET', key, field, cmsgpack.pack(record))
  if new then redis.call('EXPIREAT', key, string.format('%.0f', expires)) end
end

local function ms(time) return string.format('%.0f', time) end

-- Things without a track are the same as long as their label is seen without a longer break, up to a most.
local function name_of(things, open, entry, track, number)
  if track ~= '' then return track end
  local name = redis.call('HGET', open, number)
  local thing = name and unpacked(redis.call('HGET', things, name))
  if thing and entry.at >= thing[2] and entry.at - thing[3] <= LOST_AFTER
    and entry.at - thing[2] <= LONGEST_SIGHTING then return name end
  name = entry.id .. '~' .. number
  redis.call('HSET', open, number, name)
  return name
end

local function sight(things, ordinary, alerts, open, labels, entry, sighting)
  local track, label, score, count, alert = unpack(sighting)
  local number = label_number(labels, label)
  local name = name_of(things, open, entry, track, number)
  local thing = unpacked(redis.call('HGET', things, name))
  local new = not thing
  thing = thing or {number, entry.at, entry.at, score, entry.id, 0, count, 0}
  local was_alert, first = thing[8], thing[2]
  thing[2], thing[3] = math.min(thing[2], entry.at), math.max(thing[3], entry.at)
  -- An alert is shown by a frame in which it is one.
  if score > thing[4] and alert >= thing[8] or alert > thing[8] then
    thing[1], thing[4], thing[5] = number, score, entry.id
  end
  thing[6], thing[7] = thing[6] + 1, math.max(thing[7], count)
  thing[8] = math.max(thing[8], alert)
  for place = 6, #sighting do
    local known = false
    for at = 9, #thing do known = known or thing[at] == sighting[place] end
    if not known and #thing < 8 + 16 then thing[#thing + 1] = sighting[place] end
  end
  redis.call('HSET', things, name, cmsgpack.pack(thing))
  if new or thing[8] ~= was_alert or thing[2] ~= first then
    redis.call('ZREM', thing[8] == 1 and ordinary or alerts, name)
    redis.call('ZADD', thing[8] == 1 and alerts or ordinary, ms(thing[2]), name)
  end
end

local function trim(things, order, oldest, most)
  local gone = redis.call('ZRANGEBYSCORE', order, '-inf', '(' .. ms(oldest), 'LIMIT', 0, TRIM_AT_ONCE)
  local excess = math.min(redis.call('ZCARD', order) - #gone - most, TRIM_AT_ONCE)
  if excess > 0 then
    for _, name in ipairs(redis.call('ZRANGE', order, #gone, #gone + excess - 1)) do gone[#gone + 1] = name end
  end
  if #gone > 0 then
    redis.call('HDEL', things, unpack(gone))
    redis.call('ZREM', order, unpack(gone))
  end
end

local function record_frame(keys, packed, days, most_things)
  local minutes, hours, labels, things, ordinary, alerts, open = unpack(keys)
  local entry = cjson.decode(packed)
  local at, lasting = entry.at, days * 86400
  local seen = {}
  for _, label in ipairs(entry.labels) do
    local number = label_number(labels, label[1])
    seen[number] = (seen[number] or 0) + label[2]
  end
  local hour, day = math.floor(at / 3600000), math.floor(at / 86400000)
  add(minutes, math.floor(at / 60000) % 60, at % 60000, (hour + 1) * 3600 + lasting, entry, seen)
  add(hours, hour % 24, at % 3600000, (day + 1) * 86400 + lasting, entry, seen)
  if #entry.sightings == 0 then return end
  for _, sighting in ipairs(entry.sightings) do
    sight(things, ordinary, alerts, open, labels, entry, sighting)
  end
  local time = redis.call('TIME')
  for _, order in ipairs({ordinary, alerts}) do
    trim(things, order, 1000 * (time[1] - lasting), most_things)
  end
  for _, key in ipairs({things, ordinary, alerts, open}) do redis.call('EXPIRE', key, lasting) end
end
"""
"""Functions of PUBLISH: `record_frame(keys, packed, days, most_things)` adds an Entry to the history whose keys these
are: minutes, hours, labels, things, their order, that of alerts, the open ones. Old things go a few at a time, whenever
one is seen."""

READ_RECORDS: Final = """#!lua flags=no-writes
return cmsgpack.pack(redis.call('HGETALL', KEYS[1]))
"""
"""KEYS: records of an hour's minutes, or of a day's hours. Gives them as one value: clients take long to read many."""

READ_NAMES: Final = """#!lua flags=no-writes
return cmsgpack.pack(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf'))
"""
"""KEYS: a sorted set. ARGV: the least score. Gives its members, as one value."""
