/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of the plugin share. Three threads meet here:
 *
 *   zebra's main thread      names VRFs before their contexts exist (naming.c), shows counters
 *   zebra's dplane thread    process(): takes contexts into the shadow, never waits for the shim
 *   our own thread           link.c: the socket, and nothing else touches it
 *
 * `shadow.lock` guards the shadow and everything below that is not atomic. It is held for about
 * one batch at most; no system call is made under it.
 */
#ifndef WYE_PLUGIN_H
#define WYE_PLUGIN_H

#include <zebra.h>

#include "lib/frr_pthread.h"
#include "lib/frratomic.h"
#include "zebra/zebra_dplane.h"

#include "encode.h"
#include "shadow.h"

/* The main thread saw a VRF's name change (or the VRF for the first time): true for all contexts
 * with a sequence number beyond `after`. */
struct naming {
    struct naming *next;
    uint32_t after;
    uint32_t vrf_id, table;
    char name[64];
};

struct plugin_counters {
    _Atomic uint64_t received;     /* route contexts */
    _Atomic uint64_t acknowledged; /* operations */
    _Atomic uint64_t refused;      /* operations that the shim could not install */
    _Atomic uint64_t unchanged;    /* answered at once: the shim has just that */
    _Atomic uint64_t overflowed;   /* failed since too many were held */
    _Atomic uint64_t unsupported;  /* failed since no next hop could be said */
    _Atomic uint64_t left_out, truncated; /* next hops */
    _Atomic uint64_t other_tables;        /* contexts that are not ours */
    _Atomic uint64_t connects;
    /* How long process() keeps the dplane thread, and how often for more than 10 ms */
    _Atomic uint64_t batches, long_batches, longest_us, longest_processor_us;
};

struct plugin {
    /* Arguments */
    char socket[108];
    bool skip_kernel;
    uint64_t held_limit;
    uint32_t settle_seconds;

    struct zebra_dplane_provider *provider;
    struct frr_pthread *thread;
    int wake; /* eventfd: there is something for our thread */
    _Atomic bool stopping;
    _Atomic bool connected; /* for people */
    int64_t started_ms;

    struct shadow shadow;
    struct naming *namings, **namings_end;
    int64_t last_change_ms;
    bool must_reconsider; /* zebra has failed routes that would now be taken */

    struct plugin_counters counters;
};

extern struct plugin wye;

static inline int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define COUNT(counter, n) atomic_fetch_add_explicit(&wye.counters.counter, (n), memory_order_relaxed)

/* naming.c */
void naming_start(void);
void naming_apply(uint32_t sequence); /* lock held */

/* reconsider.c: asks zebra to try again the routes that were failed. Any thread. */
void reconsider_failed(void);

/* answer.c: lock held; gives the contexts back to zebra. */
void answer_all(struct dplane_ctx_q *contexts, bool installed);
void answer(struct zebra_dplane_ctx *ctx, bool installed);

/* link.c */
void link_start(void);
void link_stop(void);
void link_wake(void);

#endif
