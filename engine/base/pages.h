/* Memory that is walked through again and again is asked for in large pages: a table of addresses then covers all of
 * it. Where the system refuses, nothing changes. */
#ifndef HEED_BASE_PAGES_H
#define HEED_BASE_PAGES_H

#include <stddef.h>

/* Before the first touch. Only whole pages inside [block, block + bytes) are affected, so no more memory is used. */
void heed_pages_enlarge(void *block, size_t bytes);

#endif
