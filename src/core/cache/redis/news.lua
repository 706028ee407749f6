-- Puts one piece of news at the end of its stream, and wakes those who wait for it.
--
-- KEYS   stream
-- ARGV   channel of wake-ups, pieces that are kept, how long the stream lives after the last one, ms, the piece
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'news', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[1], '')
return id
