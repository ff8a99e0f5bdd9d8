/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "shadow.h"

#include "lib/jhash.h"
#include "lib/memory.h"

DEFINE_MGROUP(WYE, "wye dataplane plugin");
DEFINE_MTYPE_STATIC(WYE, WYE_ENTRY, "wye shadow entry");
DEFINE_MTYPE_STATIC(WYE, WYE_HOPS, "wye shadow next hops");
DEFINE_MTYPE_STATIC(WYE, WYE_VRF, "wye shadow VRF");
DEFINE_MTYPE_STATIC(WYE, WYE_TABLE, "wye shadow table");

void shadow_init(struct shadow *shadow)
{
    pthread_condattr_t monotonic;

    memset(shadow, 0, sizeof(*shadow));
    pthread_mutex_init(&shadow->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&shadow->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
    shadow->buckets = XCALLOC(MTYPE_WYE_TABLE, SHADOW_BUCKETS * sizeof(*shadow->buckets));
    /* An operation id that an earlier zebra gave out should not mean anything in this one. */
    shadow->sequence = (uint32_t)time(NULL) ^ ((uint32_t)getpid() << 16);
}

/* Lists */

static void list_append(struct shadow_list *list, struct shadow_entry *entry)
{
    entry->next = NULL;
    entry->previous = list->last;
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
}

static void list_remove(struct shadow_list *list, struct shadow_entry *entry)
{
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        list->first = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    else
        list->last = entry->previous;
    entry->next = entry->previous = NULL;
}

/* Puts all of `front` before `list`. */
static void list_prepend_all(struct shadow_list *list, struct shadow_list *front)
{
    if (!front->first)
        return;
    front->last->next = list->first;
    if (list->first)
        list->first->previous = front->last;
    else
        list->last = front->last;
    list->first = front->first;
    front->first = front->last = NULL;
}

/* While no shim is connected every entry counts as queued, whichever list it is in. */
static bool is_idle(const struct shadow *shadow, const struct shadow_entry *entry)
{
    return entry->sent_in != 0 && entry->sent_in == shadow->connection;
}

/* VRFs */

struct shadow_vrf *shadow_find_vrf(struct shadow *shadow, uint32_t id)
{
    struct shadow_vrf *vrf = shadow->vrfs[id % SHADOW_VRF_BUCKETS];

    while (vrf && (vrf->id != id || vrf->replaced))
        vrf = vrf->next;
    return vrf;
}

void shadow_name_vrf(struct shadow *shadow, uint32_t id, const char *name, uint32_t table)
{
    struct shadow_vrf *vrf = shadow_find_vrf(shadow, id);

    if (!vrf || strcmp(vrf->name, name) != 0) {
        if (vrf)
            vrf->replaced = true;
        vrf = XCALLOC(MTYPE_WYE_VRF, sizeof(*vrf));
        vrf->id = id;
        vrf->serial = ++shadow->vrf_serial;
        strlcpy(vrf->name, name, sizeof(vrf->name));
        vrf->next = shadow->vrfs[id % SHADOW_VRF_BUCKETS];
        shadow->vrfs[id % SHADOW_VRF_BUCKETS] = vrf;
    }
    vrf->table = table;
}

/* Entries */

static uint32_t bucket_of(const struct shadow_vrf *vrf, const struct wye_zebra_route *key)
{
    uint32_t words[6];

    memcpy(words, key->prefix, sizeof(key->prefix));
    words[4] = vrf->serial;
    words[5] = ((uint32_t)key->family << 8) | key->prefix_length;
    return jhash2(words, array_size(words), 0x77796531) & (SHADOW_BUCKETS - 1);
}

static bool same_prefix(const struct wye_zebra_route *a, const struct wye_zebra_route *b)
{
    return a->family == b->family && a->prefix_length == b->prefix_length &&
           memcmp(a->prefix, b->prefix, sizeof(a->prefix)) == 0;
}

struct shadow_entry *shadow_find(struct shadow *shadow, const struct shadow_vrf *vrf,
                                 const struct wye_zebra_route *key)
{
    struct shadow_entry *entry = shadow->buckets[bucket_of(vrf, key)];

    while (entry && (entry->vrf != vrf || !same_prefix(&entry->head, key)))
        entry = entry->hash_next;
    return entry;
}

static uint32_t take_slot(struct shadow *shadow, struct shadow_entry *entry)
{
    uint32_t slot;

    if (shadow->free_count) {
        slot = shadow->free_slots[--shadow->free_count];
    } else {
        if (shadow->slot_count == shadow->slot_room) {
            shadow->slot_room = MAX(1024U, shadow->slot_room * 2);
            shadow->slots = XREALLOC(MTYPE_WYE_TABLE, shadow->slots,
                                     shadow->slot_room * sizeof(*shadow->slots));
            shadow->free_slots = XREALLOC(MTYPE_WYE_TABLE, shadow->free_slots,
                                          shadow->slot_room * sizeof(*shadow->free_slots));
        }
        slot = shadow->slot_count++;
    }
    shadow->slots[slot] = entry;
    return slot;
}

struct shadow_entry *shadow_get(struct shadow *shadow, struct shadow_vrf *vrf,
                                const struct wye_zebra_route *key)
{
    struct shadow_entry *entry = shadow_find(shadow, vrf, key);
    struct shadow_entry **bucket;

    if (entry)
        return entry;
    entry = XCALLOC(MTYPE_WYE_ENTRY, sizeof(*entry));
    entry->head.vrf_id = key->vrf_id;
    entry->head.family = key->family;
    entry->head.prefix_length = key->prefix_length;
    memcpy(entry->head.prefix, key->prefix, sizeof(key->prefix));
    entry->head.operation = WYE_ZEBRA_REMOVE;
    entry->vrf = vrf;
    entry->slot = take_slot(shadow, entry);
    TAILQ_INIT(&entry->held);
    bucket = &shadow->buckets[bucket_of(vrf, key)];
    entry->hash_next = *bucket;
    *bucket = entry;
    list_append(&shadow->queue, entry);
    shadow->queued++;
    shadow->entries++;
    return entry;
}

/* Frees an entry that has nothing left to say. */
static void forget(struct shadow *shadow, struct shadow_entry *entry)
{
    struct shadow_entry **link = &shadow->buckets[bucket_of(entry->vrf, &entry->head)];

    while (*link != entry)
        link = &(*link)->hash_next;
    *link = entry->hash_next;
    list_remove(&shadow->idle, entry);
    shadow->slots[entry->slot] = NULL;
    shadow->free_slots[shadow->free_count++] = entry->slot;
    shadow->entries--;
    XFREE(MTYPE_WYE_HOPS, entry->hops);
    XFREE(MTYPE_WYE_ENTRY, entry);
}

bool shadow_exists(const struct shadow_entry *entry)
{
    return entry && entry->head.operation == WYE_ZEBRA_INSTALL;
}

/* Puts a changed entry at the end of the queue: what zebra did later is sent later. But not while
 * the end of a snapshot is queued: an entry before that mark must stay before it, or the shim would
 * take the route for gone. */
static void enqueue(struct shadow *shadow, struct shadow_entry *entry)
{
    if (is_idle(shadow, entry)) {
        list_remove(&shadow->idle, entry);
        shadow->queued++;
    } else if (shadow->end_marked) {
        return;
    } else {
        list_remove(&shadow->queue, entry);
    }
    list_append(&shadow->queue, entry);
    entry->sent_in = 0;
}

static bool same_route(const struct shadow_entry *entry, const struct shadow_route *route)
{
    const struct wye_zebra_route *a = &entry->head, *b = &route->head;

    return a->operation == b->operation && a->kind == b->kind && a->origin == b->origin &&
           a->distance == b->distance && a->metric == b->metric && a->nexthops == b->nexthops &&
           (a->nexthops == 0 ||
            memcmp(entry->hops, route->hops, a->nexthops * sizeof(*entry->hops)) == 0);
}

bool shadow_set(struct shadow *shadow, struct shadow_entry *entry, const struct shadow_route *route)
{
    if (shadow->connected && is_idle(shadow, entry) && entry->acknowledged && !entry->held_count &&
        same_route(entry, route))
        return false;
    if (entry->head.nexthops != route->head.nexthops) {
        XFREE(MTYPE_WYE_HOPS, entry->hops);
        if (route->head.nexthops)
            entry->hops =
                XMALLOC(MTYPE_WYE_HOPS, route->head.nexthops * sizeof(struct wye_zebra_nexthop));
    }
    entry->head = route->head;
    if (route->head.nexthops)
        memcpy(entry->hops, route->hops, route->head.nexthops * sizeof(struct wye_zebra_nexthop));
    entry->acknowledged = false;
    enqueue(shadow, entry);
    return true;
}

void shadow_hold(struct shadow *shadow, struct shadow_entry *entry, struct zebra_dplane_ctx *ctx)
{
    dplane_ctx_enqueue_tail(&entry->held, ctx);
    entry->held_count++;
    shadow->held++;
}

void shadow_release(struct shadow *shadow, struct shadow_entry *entry, uint32_t count,
                    struct dplane_ctx_q *to)
{
    while (count-- && entry->held_count) {
        dplane_ctx_enqueue_tail(to, dplane_ctx_dequeue(&entry->held));
        entry->held_count--;
        shadow->held--;
        if (entry->covered)
            entry->covered--;
    }
    pthread_cond_signal(&shadow->drained);
}

void shadow_release_all(struct shadow *shadow, struct dplane_ctx_q *to)
{
    uint32_t slot;

    for (slot = 0; slot < shadow->slot_count; slot++)
        if (shadow->slots[slot])
            shadow_release(shadow, shadow->slots[slot], UINT32_MAX, to);
}

/* Connection */

void shadow_connect(struct shadow *shadow)
{
    list_prepend_all(&shadow->queue, &shadow->idle);
    shadow->queued = shadow->entries;
    shadow->connection++;
    shadow->connected = true;
    shadow->end_sent = false;
}

void shadow_disconnect(struct shadow *shadow)
{
    if (shadow->end_marked)
        list_remove(&shadow->queue, &shadow->end_mark);
    shadow->end_marked = false;
    shadow->connected = false;
}

void shadow_mark_end(struct shadow *shadow)
{
    list_append(&shadow->queue, &shadow->end_mark);
    shadow->end_marked = true;
}

static size_t fill_vrf(struct shadow *shadow, struct shadow_vrf *vrf, uint8_t *at)
{
    struct wye_zebra_vrf message = {};

    message.frame.length = sizeof(message);
    message.frame.type = WYE_ZEBRA_VRF;
    message.vrf_id = vrf->id;
    memcpy(message.name, vrf->name, sizeof(message.name));
    memcpy(at, &message, sizeof(message));
    vrf->sent_in = shadow->connection;
    return sizeof(message);
}

static size_t fill_end(struct shadow *shadow, uint8_t *at)
{
    struct wye_zebra_snapshot message = {};

    message.frame.length = sizeof(message);
    message.frame.type = WYE_ZEBRA_SNAPSHOT_END;
    message.generation = shadow->connection;
    memcpy(at, &message, sizeof(message));
    list_remove(&shadow->queue, &shadow->end_mark);
    shadow->end_marked = false;
    shadow->end_sent = true;
    return sizeof(message);
}

/* Moves an entry from the queue to the idle list. */
static void settle(struct shadow *shadow, struct shadow_entry *entry)
{
    list_remove(&shadow->queue, entry);
    list_append(&shadow->idle, entry);
    shadow->queued--;
    entry->sent_in = shadow->connection;
}

static size_t fill_route(struct shadow *shadow, struct shadow_entry *entry, uint8_t *at)
{
    const size_t hops = entry->head.nexthops * sizeof(*entry->hops);

    entry->sequence = ++shadow->sequence;
    entry->head.id = ((uint64_t)entry->sequence << 32) | entry->slot;
    entry->head.frame.length = (uint16_t)(sizeof(entry->head) + hops);
    entry->head.frame.type = WYE_ZEBRA_ROUTE;
    memcpy(at, &entry->head, sizeof(entry->head));
    if (hops)
        memcpy(at + sizeof(entry->head), entry->hops, hops);

    settle(shadow, entry);
    shadow->sent++;
    entry->covered = entry->held_count;
    entry->acknowledged = false;
    return sizeof(entry->head) + hops;
}

/* zebra deletes a VRF's routes before it gives the id away; were one left, it would be gone. */
static void remove_if_replaced(struct shadow_entry *entry)
{
    if (!entry->vrf->replaced || !shadow_exists(entry))
        return;
    entry->head.operation = WYE_ZEBRA_REMOVE;
    entry->head.kind = entry->head.origin = entry->head.distance = 0;
    entry->head.nexthops = 0;
    entry->head.metric = 0;
    XFREE(MTYPE_WYE_HOPS, entry->hops);
}

/* The shim of this connection does not know the route: its VRF has not been named to it, or the id
 * has been named again since. */
static bool is_moot(struct shadow *shadow, const struct shadow_entry *entry)
{
    if (shadow_exists(entry))
        return false;
    if (entry->vrf->sent_in != shadow->connection)
        return true;
    return entry->vrf->replaced &&
           shadow_find_vrf(shadow, entry->vrf->id)->sent_in == shadow->connection;
}

static size_t fill_entry(struct shadow *shadow, struct shadow_entry *entry, uint8_t *at,
                         struct dplane_ctx_q *done)
{
    size_t used = 0;

    remove_if_replaced(entry);
    if (is_moot(shadow, entry)) {
        settle(shadow, entry);
        shadow_release(shadow, entry, UINT32_MAX, done);
    } else if (entry->vrf->sent_in != shadow->connection) {
        return fill_vrf(shadow, entry->vrf, at);
    } else {
        used = fill_route(shadow, entry, at);
    }
    /* A removal that nobody waits for has done its work. */
    if (!shadow_exists(entry) && !entry->held_count)
        forget(shadow, entry);
    return used;
}

size_t shadow_fill(struct shadow *shadow, uint8_t *buffer, size_t room, struct dplane_ctx_q *done)
{
    size_t used = 0;
    uint32_t steps = 0; /* moot entries write nothing, and the lock is not held for all of them */
    struct shadow_entry *entry;

    while ((entry = shadow->queue.first) && room - used >= WYE_ZEBRA_MAX_MESSAGE && steps++ < 1000)
        used += entry == &shadow->end_mark ? fill_end(shadow, buffer + used)
                                           : fill_entry(shadow, entry, buffer + used, done);
    return used;
}

bool shadow_acknowledge(struct shadow *shadow, uint64_t id, bool installed, struct dplane_ctx_q *to,
                        bool *late)
{
    const uint32_t slot = (uint32_t)id;
    struct shadow_entry *entry;

    if (slot >= shadow->slot_count || !(entry = shadow->slots[slot]))
        return false;
    if (entry->sequence != (uint32_t)(id >> 32) || !is_idle(shadow, entry))
        return false;
    entry->acknowledged = installed;
    if (installed && entry->refused && shadow_exists(entry) && !entry->covered)
        *late = true;
    entry->refused = !installed;
    shadow_release(shadow, entry, entry->covered, to);
    if (!shadow_exists(entry) && !entry->held_count)
        forget(shadow, entry);
    return true;
}
