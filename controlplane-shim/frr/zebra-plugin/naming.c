/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VRF ids to names. A context has only the id, names may be read only in zebra's main thread, and
 * zebra gives the id of a VRF that is gone to the next one, so asking later may give the wrong
 * name. zebra calls the hook rib_update in its main thread just before it makes the context of a
 * route. There we note the name if it is new, together with the sequence number that contexts have
 * reached: what comes after it has the new name, what is still under way has the old one.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "plugin.h"

#include "lib/memory.h"
#include "zebra/rib.h"
#include "zebra/zebra_router.h"
#include "zebra/zebra_vrf.h"

DECLARE_MGROUP(WYE);
DEFINE_MTYPE_STATIC(WYE, WYE_NAMING, "wye VRF naming");

/* What the main thread noted last for each id; its own memory, so that a route of a known VRF costs
 * no lock. */
static struct naming *known[SHADOW_VRF_BUCKETS];

static void publish(const struct naming *naming)
{
    struct naming *copy = XCALLOC(MTYPE_WYE_NAMING, sizeof(*copy));

    *copy = *naming;
    copy->next = NULL;
    copy->after = zebra_router_get_next_sequence();
    pthread_mutex_lock(&wye.shadow.lock);
    *wye.namings_end = copy;
    wye.namings_end = &copy->next;
    pthread_mutex_unlock(&wye.shadow.lock);
}

static int on_rib_update(struct route_node *rn, const char *reason)
{
    const struct rib_table_info *info = srcdest_rnode_table_info(rn);
    const struct zebra_vrf *zvrf = info ? info->zvrf : NULL;
    struct naming *naming;
    uint32_t id, bucket;

    if (!zvrf || !zvrf->vrf)
        return 0;
    id = zvrf->vrf->vrf_id;
    bucket = id % SHADOW_VRF_BUCKETS;
    for (naming = known[bucket]; naming && naming->vrf_id != id;)
        naming = naming->next;
    if (naming && naming->table == zvrf->table_id && strcmp(naming->name, zvrf->vrf->name) == 0)
        return 0;
    if (!naming) {
        naming = XCALLOC(MTYPE_WYE_NAMING, sizeof(*naming));
        naming->vrf_id = id;
        naming->next = known[bucket];
        known[bucket] = naming;
    }
    naming->table = zvrf->table_id;
    strlcpy(naming->name, zvrf->vrf->name, sizeof(naming->name));
    publish(naming);
    return 0;
}

void naming_apply(uint32_t sequence)
{
    struct naming *naming;

    while ((naming = wye.namings) && (int32_t)(sequence - naming->after) > 0) {
        shadow_name_vrf(&wye.shadow, naming->vrf_id, naming->name, naming->table);
        wye.namings = naming->next;
        if (!wye.namings)
            wye.namings_end = &wye.namings;
        XFREE(MTYPE_WYE_NAMING, naming);
    }
}

void naming_start(void)
{
    wye.namings_end = &wye.namings;
    hook_register(rib_update, on_rib_update);
}
