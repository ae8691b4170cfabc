/* Telling systemd how the service is (sd_notify's protocol: one datagram to the socket named in NOTIFY_SOCKET). Without
 * that variable nothing happens. One thread. */
#ifndef SRV_NOTIFY_H
#define SRV_NOTIFY_H

#include <stdint.h>

/* state: "READY=1", "STOPPING=1", "WATCHDOG=1". */
void srv_notify(const char *state);

/* Half of what WATCHDOG_USEC allows between two signs of life; 0: no watchdog. */
uint64_t srv_notify_watchdog_ns(void);

#endif
