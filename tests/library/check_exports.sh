#!/bin/sh
# Nothing leaves the shared library but what begins with heed_, and all of that is declared in heed.h.
#   check_exports.sh libheed.so heed.h
set -eu
library=$1 header=$2
names=$(nm -D --defined-only "$library" | awk '{ print $3 }')
[ -n "$names" ] || { echo "$library exports nothing" >&2; exit 1; }
status=0
for name in $names; do
    case $name in
    heed_*) grep -qw "$name" "$header" || { echo "$name is exported, but heed.h does not declare it" >&2; status=1; } ;;
    *) echo "$name is exported, but does not begin with heed_" >&2; status=1 ;;
    esac
done
for name in $(grep -ow 'heed_[a-z0-9_]*(' "$header" | tr -d '(' | sort -u); do
    echo "$names" | grep -qx "$name" || { echo "$name is declared, but not exported" >&2; status=1; }
done
[ $status -ne 0 ] || echo "ok 1 - what leaves the library is what heed.h declares"
exit $status
