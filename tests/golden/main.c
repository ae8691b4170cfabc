/* test_golden: the engine against stored answers of PyTorch, torchvision and pycocotools, at every CPU level this
 * machine has and with one, two and three threads. README.md says how the answers were made. */
#include "checks.h"

int main(void)
{
    return check_results() + check_layers() + check_attention();
}
