-- As many requests as the proxy answers, over a thousand keys. Arguments: the path before the key. Ends with one line of JSON.

local KEYS = 1000
local requests, turn = {}, 0

function init(args)
   for key = 1, KEYS do
      requests[key] = wrk.format("GET", args[1] .. "k" .. key)
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
