/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The protocol between the zebra plugin (wye_dplane.so) and the shim's route source.
 *
 * Unlike the plugin itself this header is under the project's own licence (LICENSE at the top of
 * the tree): it is what the two programs share, and nothing in it is FRR's.
 *
 * Transport: a Unix stream socket. The shim listens, the plugin connects and reconnects for ever.
 * Both are on one machine: integers are little-endian (the only hosts that wye runs on), addresses
 * are in network order. Every message is a struct below, begins with struct wye_zebra_frame, and
 * has its whole length, that header included, in it. Messages need no alignment in the stream.
 * Reserved bytes are sent as zero and must be zero. Any byte that does not make sense closes the
 * connection; there is no other way to answer garbage, and the plugin then begins anew.
 *
 *   plugin → shim                                shim → plugin
 *   HELLO (version, FRR's version)
 *                                                HELLO_REPLY (accepted, or refused in words)
 *   SNAPSHOT_BEGIN (generation)
 *     VRF, ROUTE …                               ACKNOWLEDGE …
 *   SNAPSHOT_END (generation)
 *   VRF, ROUTE …                                 ACKNOWLEDGE …
 *
 * The plugin sends nothing before it has an accepting HELLO_REPLY.
 *
 * Snapshot. After each connect the plugin sends the last state of every (VRF, prefix) that zebra
 * gave it, between BEGIN and END; what is not among them does not exist any more. Changes that
 * happen meanwhile are in the same stream: a prefix that has not been sent yet is sent once with
 * its newest state, one that has been sent is sent again. So between BEGIN and END a prefix may
 * come twice and may be removed, and the stream is right at every point if it is read in order.
 * Just after zebra's own start END is withheld until zebra has learned its routes again.
 *
 * Operations. Every ROUTE, install or remove, has an id that is unique within the connection. The
 * shim acknowledges it once the data plane has it; until then zebra waits for it (`q` in `show ip
 * route`) where it can wait. Acknowledgements may come in any order. The last operation of a prefix
 * speaks for those before it, so an earlier one need not be acknowledged. Ids end with their
 * connection. The last operation of a prefix that was refused may be acknowledged once more, as
 * installed, when the data plane has it after all: zebra is then made to try again what it has as
 * failed (it does so too after a snapshot in which the route is installed).
 *
 * VRF ids are zebra's. An id has its name before its first ROUTE in a connection. Another name under
 * a known id is another VRF, since zebra uses the ids of VRFs that are gone again: every route that
 * was known under the id is gone. A REMOVE may name a prefix that is not known.
 */
#ifndef WYE_ZEBRA_PROTOCOL_H
#define WYE_ZEBRA_PROTOCOL_H

#include <stdint.h>

#define WYE_ZEBRA_MAGIC 0x7a657977u /* "wyez" as it lies in memory */
/* 2: next hops of EVPN, and with them a longer struct wye_zebra_nexthop. A shim takes the version before
 * its own too, since zebra goes on with the plugin that it has loaded when the shim is upgraded; a plugin
 * that is newer than its shim is refused. */
#define WYE_ZEBRA_VERSION 2u
#define WYE_ZEBRA_OLDEST_VERSION 1u
#define WYE_ZEBRA_MAX_NEXTHOPS 64u
/* No message is longer. */
#define WYE_ZEBRA_MAX_MESSAGE 4096u

enum wye_zebra_type {
    WYE_ZEBRA_HELLO = 1,
    WYE_ZEBRA_HELLO_REPLY = 2,
    WYE_ZEBRA_VRF = 3,
    WYE_ZEBRA_ROUTE = 4,
    WYE_ZEBRA_SNAPSHOT_BEGIN = 5,
    WYE_ZEBRA_SNAPSHOT_END = 6,
    WYE_ZEBRA_ACKNOWLEDGE = 7,
};

/* Begins every message. */
struct wye_zebra_frame {
    uint16_t length; /* of the whole message in bytes, this header included */
    uint8_t type;    /* enum wye_zebra_type */
    uint8_t reserved;
};

/* plugin → shim, first. The layout of this struct and of the reply is the same in all versions. */
struct wye_zebra_hello {
    struct wye_zebra_frame frame;
    uint32_t magic;
    uint32_t version;
    uint32_t process;     /* zebra's process id, for messages to people */
    char frr_version[32]; /* "8.4.4", padded with zeros, at least one */
};

/* shim → plugin. If not accepted, `text` says why and the shim closes the connection. */
struct wye_zebra_hello_reply {
    struct wye_zebra_frame frame;
    uint32_t magic;
    uint32_t version; /* accepted: the plugin's, which both then speak; refused: the shim's own */
    uint32_t accepted;
    char text[128]; /* padded with zeros, at least one */
};

struct wye_zebra_vrf {
    struct wye_zebra_frame frame;
    uint32_t vrf_id;
    char name[64]; /* padded with zeros, at least one; not empty */
};

enum wye_zebra_operation { WYE_ZEBRA_INSTALL = 1, WYE_ZEBRA_REMOVE = 2 };

enum wye_zebra_route_kind {
    WYE_ZEBRA_UNICAST = 0,
    WYE_ZEBRA_BLACKHOLE = 1,   /* drop silently */
    WYE_ZEBRA_UNREACHABLE = 2, /* drop, host unreachable */
    WYE_ZEBRA_PROHIBIT = 3,    /* drop, administratively prohibited */
};

/* Followed by `nexthops` times struct wye_zebra_nexthop: 1 to 64 for an installed unicast route,
 * none for the other kinds and for a removal. A removal has only key and operation, the rest zero.
 * An install replaces whatever the prefix had. */
struct wye_zebra_route {
    struct wye_zebra_frame frame;
    uint32_t vrf_id;
    uint64_t id;           /* of the operation */
    uint8_t operation;     /* enum wye_zebra_operation */
    uint8_t family;        /* 4 or 6 */
    uint8_t prefix_length; /* in bits */
    uint8_t kind;          /* enum wye_zebra_route_kind */
    uint8_t origin;        /* enum wye_zebra_origin */
    uint8_t distance;
    uint16_t nexthops;
    uint32_t metric;
    uint32_t reserved;
    uint8_t prefix[16]; /* network order; beyond the family's bytes and the length: zero */
};

/* Who the route is from. The numbers are ours and do not change when FRR renumbers its own. */
enum wye_zebra_origin {
    WYE_ZEBRA_ORIGIN_OTHER = 0,
    WYE_ZEBRA_ORIGIN_KERNEL = 1,
    WYE_ZEBRA_ORIGIN_CONNECTED = 2,
    WYE_ZEBRA_ORIGIN_STATIC = 3,
    WYE_ZEBRA_ORIGIN_RIP = 4,
    WYE_ZEBRA_ORIGIN_OSPF = 6,
    WYE_ZEBRA_ORIGIN_ISIS = 8,
    WYE_ZEBRA_ORIGIN_BGP = 9,
    WYE_ZEBRA_ORIGIN_SHARP = 23,
    WYE_ZEBRA_ORIGIN_LOCAL = 100, /* an address of the router itself; FRR 10 and newer */
};

enum wye_zebra_nexthop_kind {
    WYE_ZEBRA_INTERFACE = 1, /* only an interface: the destination is on the link */
    WYE_ZEBRA_GATEWAY = 2,   /* a gateway; with its interface, or interface_index 0 */
    /* From version 2 on: `gateway` is the far tunnel end, reached by VXLAN with the VNI `vni`; the
     * interface is the one whose MAC is the router's own there (RFC 9135 calls it the IRB). */
    WYE_ZEBRA_EVPN = 3,
};

enum wye_zebra_nexthop_flag { WYE_ZEBRA_ONLINK = 1 };

struct wye_zebra_nexthop {
    uint32_t vrf_id;          /* of the interface */
    uint32_t interface_index; /* within the namespace of that VRF */
    uint8_t kind;             /* enum wye_zebra_nexthop_kind */
    uint8_t family;           /* of the gateway: 4 or 6 (may differ from the route's); else 0 */
    uint8_t weight;           /* 1 to 255 */
    uint8_t flags;            /* enum wye_zebra_nexthop_flag */
    uint8_t gateway[16];      /* network order, the rest zero */
    uint32_t vni;             /* of WYE_ZEBRA_EVPN, below 2^24; else 0. Not there in version 1 */
};
#define WYE_ZEBRA_NEXTHOP_SIZE_1 28u /* in version 1 */

/* SNAPSHOT_BEGIN and SNAPSHOT_END. */
struct wye_zebra_snapshot {
    struct wye_zebra_frame frame;
    uint32_t reserved;
    uint64_t generation; /* grows with each connection; END has that of its BEGIN */
};

enum wye_zebra_result { WYE_ZEBRA_INSTALLED = 1, WYE_ZEBRA_REFUSED = 2 };

/* shim → plugin. Followed by 1 to 500 ids of operations (uint64_t) that all had this result. */
struct wye_zebra_acknowledge {
    struct wye_zebra_frame frame;
    uint32_t result; /* enum wye_zebra_result */
};
#define WYE_ZEBRA_MAX_ACKNOWLEDGED 500u

#ifdef __cplusplus
#define WYE_ZEBRA_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define WYE_ZEBRA_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif
WYE_ZEBRA_SIZE(wye_zebra_frame, 4);
WYE_ZEBRA_SIZE(wye_zebra_hello, 48);
WYE_ZEBRA_SIZE(wye_zebra_hello_reply, 144);
WYE_ZEBRA_SIZE(wye_zebra_vrf, 72);
WYE_ZEBRA_SIZE(wye_zebra_route, 48);
WYE_ZEBRA_SIZE(wye_zebra_nexthop, 32);
WYE_ZEBRA_SIZE(wye_zebra_snapshot, 16);
WYE_ZEBRA_SIZE(wye_zebra_acknowledge, 8);

#endif
