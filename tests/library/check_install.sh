#!/bin/sh
# Other people's programs: installs the build somewhere else, then builds and runs a C program with the shared library, the same
# with the static one, and a C++ one, knowing nothing but pkg-config. The example in heed.h must compile.
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

{
    printf '#include <heed.h>\nvoid example(const uint8_t *bytes, size_t size, uint32_t width, uint32_t height, unsigned helpers)\n{\n'
    echo 'struct heed_detect_options options = { .masks = true }; struct heed_result result; struct heed_error error;'
    sed -n 's/^ \*     \(struct heed_[a-z]* \*[a-z]*;\).*/\1/p; s/^ \*     \(heed_.*;\)$/\1/p' "$prefix/include/heed.h"
    echo '}'
} >"$prefix/example.c"
[ "$(grep -c '^heed_\|^struct heed_[a-z]* \*' "$prefix/example.c")" -eq 8 ]
${CC:-cc} -std=c11 -Wall -Werror -Wno-unused-result -fsyntax-only "$prefix/example.c" $(flags --cflags)
echo "ok 6 - the example in heed.h"
