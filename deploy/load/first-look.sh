#!/bin/sh
# A first look at a running heed: posts photos with curl, one after another, and prints a table.
#
#     deploy/load/first-look.sh                                      the test photos to localhost:8080
#     deploy/load/first-look.sh http://camera-box:8080 *.jpg         others elsewhere
#
# Needs curl. Times are milliseconds: `total` as curl sees it, the others from the answer's Server-Timing.
set -eu

url=${1:-http://localhost:8080}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- "$(dirname "$0")"/../../tests/photos/*.jpg

answer=$(mktemp)
headers=$(mktemp)
trap 'rm -f "$answer" "$headers"' EXIT

phase() {
    sed -n "s/^[Ss]erver-[Tt]iming:.*[ ,]$1;dur=\([0-9.]*\).*/\1/p" "$headers"
}

printf '%-24s %6s %8s %8s %8s %8s %8s   %s\n' photo status total queue decode infer masks found
for photo in "$@"; do
    [ -r "$photo" ] || { echo "$photo cannot be read" >&2; exit 1; }
    seen=$(curl --silent --show-error --output "$answer" --dump-header "$headers" --write-out '%{http_code} %{time_total}' \
        --data-binary "@$photo" --header 'Content-Type: application/octet-stream' "$url/v1/detect")
    found=$(grep -o '"label": *"[^"]*"' "$answer" | sed 's/.*: *"\(.*\)"/\1/' | sort | uniq -c | awk '
        { n = $1; $1 = ""; sub(/^ /, ""); printf "%s%s", sep, (n > 1 ? n " x " $0 : $0); sep = ", " }')
    printf '%-24s %6s %8s %8s %8s %8s %8s   %s\n' "$(basename "$photo")" "${seen%% *}" \
        "$(echo "${seen##* }" | awk '{ printf "%.1f", $1 * 1000 }')" \
        "$(phase queue)" "$(phase decode)" "$(phase infer)" "$(phase masks)" "$found"
done
