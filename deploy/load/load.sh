#!/bin/sh
# Throughput and latency of a running heed, measured with wrk at several numbers of clients, as a table.
#
#     deploy/load/load.sh                                            localhost:8080, a test photo, 10 s a row
#     deploy/load/load.sh http://host:8080 photo.jpg 30 "1 4 16"     all said
#
# Each client keeps one connection and posts the photo again as soon as it is answered. `refused` counts answers that are not 200:
# beyond the queue's size heed says 429 at once, and those answers are quick. Run it from another machine to keep the
# client's own work out of the figures.
set -eu

here=$(dirname "$0")
url=${1:-http://localhost:8080}
photo=${2:-$here/../../tests/photos/chelsea.jpg}
seconds=${3:-10}
clients=${4:-1 2 4 8 16 32 64}

command -v wrk >/dev/null || {
    echo "load.sh: needs wrk (apt-get install wrk)" >&2
    exit 1
}
code=$(curl --silent --output /dev/null --write-out '%{http_code}' --data-binary "@$photo" "$url/v1/detect" || true)
[ "$code" = 200 ] || {
    echo "load.sh: $url answered $code to $photo" >&2
    exit 1
}

echo "$(basename "$photo"), $(wc -c <"$photo") bytes, $url, $seconds s a row"
printf '%8s %10s %9s %9s %9s %9s %9s %9s\n' clients photos/s p50_ms p90_ms p99_ms max_ms refused errors
for count in $clients; do
    HEED_PHOTO=$photo HEED_CLIENTS=$count wrk --threads 1 --connections "$count" --duration "${seconds}s" --timeout 60s \
        --script "$here/post.lua" "$url/v1/detect" | sed -n 's/^row //p'
done
