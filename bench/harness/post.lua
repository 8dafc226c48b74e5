-- wrk: POST one body from a file over kept-alive connections; prints one JSON line when done.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]+)\n") do wrk.headers[name] = value end

function done(summary, latency, requests)
  io.write(string.format(
    '\nBENCH {"calls":%d,"duration_us":%d,"not_2xx":%d,"socket_errors":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
