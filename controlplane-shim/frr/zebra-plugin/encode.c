/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "encode.h"

#include "lib/mpls.h"

void encode_key(const struct zebra_dplane_ctx *ctx, struct wye_zebra_route *head)
{
    struct prefix prefix;

    memset(head, 0, sizeof(*head));
    prefix_copy(&prefix, dplane_ctx_get_dest(ctx));
    apply_mask(&prefix);
    head->vrf_id = dplane_ctx_get_vrf(ctx);
    head->operation = WYE_ZEBRA_REMOVE;
    head->prefix_length = (uint8_t)prefix.prefixlen;
    if (prefix.family == AF_INET) {
        head->family = 4;
        memcpy(head->prefix, &prefix.u.prefix4, 4);
    } else {
        head->family = 6;
        memcpy(head->prefix, &prefix.u.prefix6, 16);
    }
}

static uint8_t origin_of(int type)
{
    switch (type) {
    case ZEBRA_ROUTE_KERNEL:
        return WYE_ZEBRA_ORIGIN_KERNEL;
    case ZEBRA_ROUTE_CONNECT:
        return WYE_ZEBRA_ORIGIN_CONNECTED;
    case ZEBRA_ROUTE_STATIC:
        return WYE_ZEBRA_ORIGIN_STATIC;
    case ZEBRA_ROUTE_RIP:
    case ZEBRA_ROUTE_RIPNG:
        return WYE_ZEBRA_ORIGIN_RIP;
    case ZEBRA_ROUTE_OSPF:
    case ZEBRA_ROUTE_OSPF6:
        return WYE_ZEBRA_ORIGIN_OSPF;
    case ZEBRA_ROUTE_ISIS:
        return WYE_ZEBRA_ORIGIN_ISIS;
    case ZEBRA_ROUTE_BGP:
        return WYE_ZEBRA_ORIGIN_BGP;
    case ZEBRA_ROUTE_SHARP:
        return WYE_ZEBRA_ORIGIN_SHARP;
    default:
        return WYE_ZEBRA_ORIGIN_OTHER;
    }
}

/* A route of EVPN type 5 or 2 in its tenant's VRF. */
static bool is_evpn(const struct nexthop *nexthop)
{
    return CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_EVPN) || nexthop->nh_encap_type == NET_VXLAN;
}

/* In a way that wye does not have. */
static bool is_labelled(const struct nexthop *nexthop)
{
    const struct mpls_label_stack *labels = nexthop->nh_label;

    if (nexthop->nh_srv6)
        return true;
    /* EVPN keeps the VNI there as well. */
    if (is_evpn(nexthop) || !labels || !labels->num_labels)
        return false;
    return labels->num_labels != 1 || labels->label[0] != MPLS_LABEL_IMPLICIT_NULL;
}

static uint8_t blackhole_kind(enum blackhole_type type)
{
    switch (type) {
    case BLACKHOLE_REJECT:
        return WYE_ZEBRA_UNREACHABLE;
    case BLACKHOLE_ADMINPROHIB:
        return WYE_ZEBRA_PROHIBIT;
    default:
        return WYE_ZEBRA_BLACKHOLE;
    }
}

/* The far tunnel end; for an IPv6 route over an IPv4 underlay FRR has it as ::ffff:192.0.2.1. */
static bool encode_tunnel_end(const struct nexthop *nexthop, struct wye_zebra_nexthop *hop)
{
    switch (nexthop->type) {
    case NEXTHOP_TYPE_IPV4:
    case NEXTHOP_TYPE_IPV4_IFINDEX:
        hop->family = 4;
        memcpy(hop->gateway, &nexthop->gate.ipv4, 4);
        return true;
    case NEXTHOP_TYPE_IPV6:
    case NEXTHOP_TYPE_IPV6_IFINDEX:
        if (IN6_IS_ADDR_V4MAPPED(&nexthop->gate.ipv6)) {
            hop->family = 4;
            memcpy(hop->gateway, &nexthop->gate.ipv6.s6_addr[12], 4);
        } else {
            hop->family = 6;
            memcpy(hop->gateway, &nexthop->gate.ipv6, 16);
        }
        return true;
    default:
        return false;
    }
}

static bool encode_evpn(const struct nexthop *nexthop, struct wye_zebra_nexthop *hop)
{
    if (nexthop->nh_encap_type != NET_VXLAN || nexthop->nh_encap.vni == 0 ||
        nexthop->nh_encap.vni >= 1U << 24 || !nexthop->ifindex)
        return false;
    hop->vrf_id = nexthop->vrf_id;
    hop->interface_index = (uint32_t)nexthop->ifindex;
    hop->weight = nexthop->weight ? nexthop->weight : 1;
    hop->kind = WYE_ZEBRA_EVPN;
    hop->vni = nexthop->nh_encap.vni;
    return encode_tunnel_end(nexthop, hop);
}

static bool encode_nexthop(const struct nexthop *nexthop, struct wye_zebra_nexthop *hop)
{
    memset(hop, 0, sizeof(*hop));
    if (is_evpn(nexthop))
        return encode_evpn(nexthop, hop);
    hop->vrf_id = nexthop->vrf_id;
    hop->interface_index = (uint32_t)nexthop->ifindex;
    hop->weight = nexthop->weight ? nexthop->weight : 1;
    if (CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_ONLINK))
        hop->flags = WYE_ZEBRA_ONLINK;
    switch (nexthop->type) {
    case NEXTHOP_TYPE_IFINDEX:
        hop->kind = WYE_ZEBRA_INTERFACE;
        return hop->interface_index != 0;
    case NEXTHOP_TYPE_IPV4:
    case NEXTHOP_TYPE_IPV4_IFINDEX:
        hop->kind = WYE_ZEBRA_GATEWAY;
        hop->family = 4;
        memcpy(hop->gateway, &nexthop->gate.ipv4, 4);
        return true;
    case NEXTHOP_TYPE_IPV6:
    case NEXTHOP_TYPE_IPV6_IFINDEX:
        hop->kind = WYE_ZEBRA_GATEWAY;
        hop->family = 6;
        memcpy(hop->gateway, &nexthop->gate.ipv6, 16);
        return true;
    case NEXTHOP_TYPE_BLACKHOLE:
        break;
    }
    return false;
}

bool encode_route(const struct zebra_dplane_ctx *ctx, struct shadow_route *route,
                  struct encode_notes *notes)
{
    const struct nexthop *nexthop;
    bool blackhole = false;
    uint8_t kind = WYE_ZEBRA_UNICAST;
    uint16_t count = 0;

    encode_key(ctx, &route->head);
    for (ALL_NEXTHOPS_PTR(dplane_ctx_get_ng(ctx), nexthop)) {
        /* A recursive next hop stands for those it was resolved to, which follow it. */
        if (CHECK_FLAG(nexthop->flags, NEXTHOP_FLAG_RECURSIVE) ||
            !NEXTHOP_IS_ACTIVE(nexthop->flags))
            continue;
        if (nexthop->type == NEXTHOP_TYPE_BLACKHOLE) {
            blackhole = true;
            kind = blackhole_kind(nexthop->bh_type);
        } else if (is_labelled(nexthop)) {
            notes->left_out++;
        } else if (count == WYE_ZEBRA_MAX_NEXTHOPS) {
            notes->truncated++;
        } else if (encode_nexthop(nexthop, &route->hops[count])) {
            count++;
        } else {
            notes->left_out++;
        }
    }
    if (!count && !blackhole)
        return false;
    route->head.operation = WYE_ZEBRA_INSTALL;
    route->head.kind = count ? WYE_ZEBRA_UNICAST : kind;
    route->head.nexthops = count;
    route->head.origin = origin_of(dplane_ctx_get_type(ctx));
    route->head.distance = dplane_ctx_get_distance(ctx);
    route->head.metric = dplane_ctx_get_metric(ctx);
    return true;
}
