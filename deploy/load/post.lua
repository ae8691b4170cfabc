-- For wrk, run by load.sh: posts the photo named by HEED_PHOTO and prints one row of the table.

local file = assert(io.open(os.getenv("HEED_PHOTO"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/octet-stream"

function done(summary, latency, requests)
    local served = summary.requests - summary.errors.status
    local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    print(string.format("row %8s %10.1f %9.1f %9.1f %9.1f %9.1f %9d %9d", os.getenv("HEED_CLIENTS"),
        served / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(90) / 1000,
        latency:percentile(99) / 1000, latency.max / 1000, summary.errors.status, broken))
end
