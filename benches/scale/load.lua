-- As many requests as the proxy answers, a thousand different ones, spread over all routes. Argument: the number of routes.
-- Ends with one line of JSON.

local KEYS = 1000
local requests, turn = {}, 0

function init(args)
   for key = 1, KEYS do
      requests[key] = wrk.format("GET", string.format("/same/1k/r%03d/k%04d/tags", key % tonumber(args[1]), key))
   end
end

function request()
   turn = turn % KEYS + 1
   return requests[turn]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
