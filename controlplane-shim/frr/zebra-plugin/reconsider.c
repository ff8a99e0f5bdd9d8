/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Routes that were failed because too many were held, or because the shim refused them, stay failed
 * in zebra. When there is room again, or the shim has one of them installed after all, zebra is
 * asked to go over them: its own housekeeping sends what is not installed once more.
 *
 * A failure that we have answered may still be on its way through zebra's queues, and there is no
 * way to see when the last one has arrived. So there are several rounds, further and further apart.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "plugin.h"

#include "zebra/rib.h"
#include "zebra/zebra_router.h"

static uint32_t requeue_failed(struct route_table *table)
{
    struct route_node *rn;
    struct route_entry *re;
    uint32_t count = 0;

    for (rn = route_top(table); rn; rn = srcdest_route_next(rn)) {
        RNODE_FOREACH_RE (rn, re) {
            if (!CHECK_FLAG(re->status, ROUTE_ENTRY_FAILED))
                continue;
            rib_queue_add(rn);
            count++;
            break;
        }
    }
    return count;
}

#define ROUNDS 6 /* at 0, 1, 3, 7, 15 and 31 s */

static struct thread *next_round;
static uint32_t rounds_done; /* of the main thread */

static void run_round(struct thread *event)
{
    struct zebra_router_table *table;
    uint32_t count = 0;

    RB_FOREACH (table, zebra_router_table_head, &zrouter.tables)
        count += requeue_failed(table->table);
    if (count)
        zlog_notice("wye: %u failed routes are tried once more", count);
    if (++rounds_done < ROUNDS)
        thread_add_timer(zrouter.master, run_round, NULL, 1L << (rounds_done - 1), &next_round);
}

static void first_round(struct thread *event)
{
    THREAD_OFF(next_round);
    rounds_done = 0;
    run_round(event);
}

void reconsider_failed(void)
{
    static struct thread *event;

    thread_add_event(zrouter.master, first_round, NULL, 0, &event);
}
