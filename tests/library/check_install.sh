#!/bin/sh
# Other people's programs: installs the build somewhere else, then builds and runs a C program with the shared library, the same
# with the static one, and a C++ one, knowing nothing but pkg-config.
#   check_install.sh BUILD_FOLDER SOURCE_FOLDER LIBDIR
set -eu
build=$1 source=$2 libdir=$3
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >/dev/null
export PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig" LD_LIBRARY_PATH="$prefix/$libdir"
flags() {
    pkg-config --define-variable=prefix="$prefix" "$@" heed
}
photo=$source/tests/photos/chelsea.jpg
program=$source/tests/library/consumer.c

${CC:-cc} -std=c11 -Wall -Werror "$program" $(flags --cflags --libs) -o "$prefix/shared"
"$prefix/shared" "$photo"
echo "ok 1 - a C program with the shared library"

mkdir "$prefix/static-only"
cp "$prefix/$libdir/libheed.a" "$prefix/static-only"
${CC:-cc} -std=c11 "$program" $(flags --cflags) -L"$prefix/static-only" $(flags --static --libs | sed "s|-L$prefix/$libdir||") \
    -o "$prefix/static"
LD_LIBRARY_PATH='' "$prefix/static" "$photo"
echo "ok 2 - a C program with the static library"

${CXX:-c++} -std=c++17 -Wall -Werror -x c++ "$program" -x none $(flags --cflags --libs) -o "$prefix/plus"
"$prefix/plus" "$photo"
echo "ok 3 - a C++ program"

"$prefix/bin/heed" detect "$photo" --format table
echo "ok 4 - the installed command"

# The notice goes where the binary goes; a configuration would lie where nothing looks for it.
cmp "$source/NOTICE" "$prefix/share/doc/heed/NOTICE"
(cd "$prefix" && ! find . -name '*.json' | grep .)
echo "ok 5 - the notice is installed, and no configuration that is not looked for there"
