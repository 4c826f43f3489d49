-- Requests of many paths and header values, made once; at the end one line for the harness.
local requests = {}
local method = os.getenv("BENCH_METHOD") or "GET"
local size = tonumber(os.getenv("BENCH_BODY") or "0")

function init(args)
  local words = { "cart", "orders", "items", "search", "users", "prices", "stock", "reviews" }
  local body = size > 0 and string.rep("tsmesh benchmark body; ", math.ceil(size / 23)):sub(1, size) or nil
  for i = 1, 997 do
    local path = string.format("/api/v1/%s/%d?page=%d&sort=%s", words[i % 8 + 1], i * 7919, i % 13, words[i % 5 + 1])
    local headers = {
      ["Host"] = "server.bench",
      ["User-Agent"] = "wrk/4.1",
      ["Accept"] = "application/json",
      ["Authorization"] = string.format("Bearer %08x%08x%08x", i * 2654435761 % 4294967296, i * 40503, i * 977),
      ["X-Session"] = string.format("s-%06d", i * 613 % 1000000),
    }
    if body then headers["Content-Type"] = "text/plain" end
    requests[i] = wrk.format(method, path, headers, body)
  end
end

local next_request = 0
function request()
  next_request = next_request % 997 + 1
  return requests[next_request]
end

function done(summary, latency, _)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format(
    'tsmesh-bench {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
