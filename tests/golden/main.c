/* test_golden: the engine against stored answers of PyTorch, torchvision and pycocotools, at every CPU level this
 * machine has and with one, two and three threads. README.md says how the answers were made.
 *
 *     test_golden [PATTERN]      only the tests whose name the pattern fits, as '*heed_s*' */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checks.h"

int main(int argument_count, char **arguments)
{
    if (argument_count > 1)
        cmocka_set_test_filter(arguments[1]);
    return check_results() + check_layers() + check_attention() + check_networks() + check_models();
}
