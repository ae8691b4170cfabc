/* What the machine gives this process. The public half (detect, level names, cores, peak) is in heed.h. Any thread; no
 * state. */
#ifndef HEED_BASE_CPU_H
#define HEED_BASE_CPU_H

/* Inside a loop that waits for another thread: leaves the core's units to its other hardware thread for a moment. */
static inline void heed_cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
