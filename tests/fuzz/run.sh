#!/bin/sh
# Fuzzes every target, or those named, for so many seconds each. Needs clang. A find stops its target and is kept in
# finds/<target>/, where the ordinary tests replay it from then on.
#
#     tests/fuzz/run.sh 300             five minutes each
#     tests/fuzz/run.sh 3600 jpeg png   an hour each for two
#
# What was learned stays in build/fuzz/corpus and makes the next run start further on.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/fuzz
build=${HEED_FUZZ_BUILD:-$root/build/fuzz}
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')

mkdir -p "$build"
cmake -G Ninja -S "$root" -B "$build" -DCMAKE_C_COMPILER=clang -DHEED_FUZZ=ON -DSANITIZE=address,undefined >"$build/cmake.log" 2>&1 || {
    cat "$build/cmake.log"
    exit 1
}
failed=0
for target in "$@"; do
    ninja --quiet -C "$build" "fuzz_$target"
    mkdir -p "$build/corpus/$target" "$here/finds/$target"
    set -- "$build/corpus/$target" "$here/seeds/$target" "$here/finds/$target"
    options="-max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -verbosity=0"
    [ -f "$here/$target.dict" ] && options="$options -dict=$here/$target.dict"
    if nice -n 10 "$build/tests/fuzz/fuzz_$target" $options "-artifact_prefix=$here/finds/$target/" "$@" >"$build/$target.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
        printf '%-16s %10s runs, %5s in the corpus, nothing found\n' "$target" "$runs" "$(ls "$build/corpus/$target" | wc -l)"
    else
        printf '%-16s FOUND SOMETHING, see %s\n' "$target" "$build/$target.log"
        tail -n 40 "$build/$target.log"
        failed=1
    fi
done
exit $failed
