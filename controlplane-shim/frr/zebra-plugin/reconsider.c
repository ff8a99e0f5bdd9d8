/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Routes that were failed because too many were held stay failed in zebra. When there is room
 * again zebra is asked to go over them: its own housekeeping sends what is not installed once more.
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

static void on_main_thread(struct thread *event)
{
    struct zebra_router_table *table;
    uint32_t count = 0;

    RB_FOREACH (table, zebra_router_table_head, &zrouter.tables)
        count += requeue_failed(table->table);
    zlog_notice("wye: there is room again, %u failed routes are tried once more", count);
}

void reconsider_failed(void)
{
    static struct thread *event;

    thread_add_event(zrouter.master, on_main_thread, NULL, 0, &event);
}
