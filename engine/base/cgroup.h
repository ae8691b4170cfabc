/* What the control group of this process allows: the smallest figure of the group and those it is in, cgroup v2 or v1.
 * 0 where nothing is set. `root` stands before /proc and /sys: "" but in tests. Any thread; no state. */
#ifndef HEED_BASE_CGROUP_H
#define HEED_BASE_CGROUP_H

#include <stdint.h>

/* Cores the quota is worth, rounded up. */
unsigned heed_cgroup_cores(const char *root);
/* Bytes of memory. */
uint64_t heed_cgroup_memory(const char *root);

#endif
