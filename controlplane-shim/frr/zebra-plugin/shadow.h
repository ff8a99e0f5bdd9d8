/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shadow: the last state of every (VRF, prefix) that zebra gave the plugin, which of them the
 * shim has not been sent, and the contexts that wait for its acknowledgement.
 *
 * Every entry is in exactly one of two lists: `queue` (to be sent) or `idle` (sent in this
 * connection). A new connection puts the idle list before the queue, at no cost, and so the
 * snapshot is nothing but the queue; a prefix that changes while it waits is sent once, with its
 * newest state.
 *
 * All functions need shadow->lock held by the caller. None blocks, none does more than its
 * argument bounds.
 */
#ifndef WYE_SHADOW_H
#define WYE_SHADOW_H

#include <zebra.h>

#include "zebra/zebra_dplane.h"

#include "protocol.h"

struct shadow_vrf {
    struct shadow_vrf *next; /* in its hash bucket */
    uint32_t id;
    uint32_t serial;  /* tells it from others that had or will have the id */
    uint32_t table;   /* routes of other tables are not ours */
    uint32_t sent_in; /* connection that knows the name */
    bool replaced;    /* the id is another VRF's now; what is left here are removals */
    char name[64];
};

/* A route as it goes over the wire, next hops apart. */
struct shadow_route {
    struct wye_zebra_route head;
    struct wye_zebra_nexthop hops[WYE_ZEBRA_MAX_NEXTHOPS];
};

struct shadow_entry {
    struct shadow_entry *hash_next;
    struct shadow_entry *next, *previous; /* in queue or idle */
    struct shadow_vrf *vrf;
    struct wye_zebra_route head;    /* head.operation says whether the route exists */
    struct wye_zebra_nexthop *hops; /* head.nexthops of them */
    struct dplane_ctx_q held;       /* oldest first */
    uint32_t held_count;
    uint32_t covered;  /* how many of them the operation that was sent last speaks for */
    uint32_t sequence; /* of that operation; its id is (sequence, slot) */
    uint32_t slot;
    uint32_t sent_in; /* connection; while it is the current one the entry is idle, else queued */
    bool acknowledged;
    bool refused; /* the shim's last answer, kept over connections: zebra has it as failed */
};

struct shadow_list {
    struct shadow_entry *first, *last;
};

#define SHADOW_BUCKETS (1U << 20) /* fixed: growing a table of a million would stall zebra */
#define SHADOW_VRF_BUCKETS 4096U

struct shadow {
    pthread_mutex_t lock;
    pthread_cond_t drained; /* a context was answered */

    struct shadow_entry **buckets;
    struct shadow_vrf *vrfs[SHADOW_VRF_BUCKETS];
    uint32_t vrf_serial;
    struct shadow_entry **slots; /* by the low half of an operation's id */
    uint32_t slot_count, slot_room;
    uint32_t *free_slots;
    uint32_t free_count;

    struct shadow_list queue, idle;
    struct shadow_entry end_mark; /* in the queue: where the snapshot ends */
    bool end_marked, end_sent;

    uint32_t connection; /* counts; 0: there was none */
    bool connected;
    uint32_t sequence;
    uint64_t entries, held, queued;
    uint64_t sent; /* routes, repeated ones included */
};

void shadow_init(struct shadow *shadow);

/* The VRF that has the id now. */
struct shadow_vrf *shadow_find_vrf(struct shadow *shadow, uint32_t id);
/* Another name under an id is another VRF, with entries of its own. */
void shadow_name_vrf(struct shadow *shadow, uint32_t id, const char *name, uint32_t table);

/* The entry of a prefix; if there is none, NULL or a new one with nothing in it. */
struct shadow_entry *shadow_find(struct shadow *shadow, const struct shadow_vrf *vrf,
                                 const struct wye_zebra_route *key);
struct shadow_entry *shadow_get(struct shadow *shadow, struct shadow_vrf *vrf,
                                const struct wye_zebra_route *key);
bool shadow_exists(const struct shadow_entry *entry);

/* Takes a new state, an install or a removal, and queues it. Says whether something changed: a
 * route that the shim has acknowledged as it is needs no second round. */
bool shadow_set(struct shadow *shadow, struct shadow_entry *entry,
                const struct shadow_route *route);
void shadow_hold(struct shadow *shadow, struct shadow_entry *entry, struct zebra_dplane_ctx *ctx);
/* Moves up to `count` of the oldest held contexts to the end of `to`. */
void shadow_release(struct shadow *shadow, struct shadow_entry *entry, uint32_t count,
                    struct dplane_ctx_q *to);
void shadow_release_all(struct shadow *shadow, struct dplane_ctx_q *to);

/* Begins a connection: everything is to be sent again. */
void shadow_connect(struct shadow *shadow);
void shadow_disconnect(struct shadow *shadow);
/* The snapshot ends after all that is queued now. */
void shadow_mark_end(struct shadow *shadow);
/* Writes whole messages from the queue; the bytes written. Moves to `done` the contexts of removals
 * that the shim need not be told, since it does not know the route in this connection. */
size_t shadow_fill(struct shadow *shadow, uint8_t *buffer, size_t room, struct dplane_ctx_q *done);
/* Moves what the operation answers to `to`; false if it is not the last one of its prefix. Sets
 * `late` if it is installed and zebra, which has it as failed, does not wait for the answer. */
bool shadow_acknowledge(struct shadow *shadow, uint64_t id, bool installed, struct dplane_ctx_q *to,
                        bool *late);

#endif
