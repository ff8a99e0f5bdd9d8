/* Which frames of an interface are the router's: an XDP program.
 *
 *   everything, if the settings say so; else
 *   - frames whose outer VLAN tag (802.1Q or 802.1ad) is a chosen one, ARP and ND among them;
 *   - whole UDP datagrams to a chosen port (4789 VXLAN, RFC 7348; 6081 GENEVE, RFC 8926) over IPv4 or
 *     IPv6, behind none, one or two tags.
 *
 * They go to the AF_XDP socket of the queue that they came in by. Everything else is the kernel's, and
 * so is what has no socket there: before the router has opened its own, and after it has ended, in
 * whatever way. That is what makes it harmless to leave the program where it is.
 *
 * Fragments stay with the kernel, the first one as well: the later ones have no port, and half a
 * datagram is of use to nobody. (RFC 7348 4.3: tunnel ends must not fragment.) Over IPv6 that holds
 * for any fragment header. Hop-by-hop options, routing headers and destination options are walked, as
 * many as the router walks; behind others (AH, ESP) there is no port to be seen. What is cut off before
 * its port is the kernel's to judge.
 *
 * Lengths that the IP header claims are not looked at: the router judges what it gets. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "drivers/xdp/steer_abi.h"

#define MOST_EXTENSION_HEADERS 8 /* net::kMaxExtensionHeaders */

struct vlan_tag {
    __be16 tci;
    __be16 type; /* of what follows */
};

struct extension_header {
    __u8 next;
    __u8 length; /* in units of 8 bytes, without the first 8 */
    __u8 rest[6];
};

const volatile struct wye_steer_settings wye_settings = {.abi = WYE_STEER_ABI};

/* By receive queue. Entries go with their sockets. */
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 1); /* the loader says how many queues there are */
} wye_sockets SEC(".maps");

static __always_inline int to_router(struct xdp_md* frame) {
    return (int)bpf_redirect_map(&wye_sockets, frame->rx_queue_index, XDP_PASS);
}

static __always_inline int is_tag(__be16 type) {
    return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

static __always_inline int is_chosen_vlan(__be16 tci) {
    const __u32 id = bpf_ntohs(tci) & 0xfff;
    return (int)(wye_settings.vlans[id >> 6] >> (id & 63) & 1);
}

/* The UDP header of a whole datagram, or null. */
static __always_inline struct udphdr* udp_over_ipv4(void* start, void* end) {
    struct iphdr* ip = start;
    if ((void*)(ip + 1) > end) return 0;
    if (ip->version != 4 || ip->ihl < 5 || ip->protocol != IPPROTO_UDP) return 0;
    if ((ip->frag_off & bpf_htons(0x3fff)) != 0) return 0; /* MF, or an offset */
    return start + ip->ihl * 4;
}

static __always_inline struct udphdr* udp_over_ipv6(void* start, void* end) {
    struct ipv6hdr* ip = start;
    if ((void*)(ip + 1) > end || ip->version != 6) return 0;
    __u8 next = ip->nexthdr;
    void* cursor = ip + 1;
    for (int walked = 0; walked < MOST_EXTENSION_HEADERS; ++walked) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS) break;
        struct extension_header* header = cursor;
        if ((void*)(header + 1) > end) return 0;
        next = header->next;
        cursor += (header->length + 1) * 8;
    }
    return next == IPPROTO_UDP ? cursor : 0;
}

static __always_inline int is_chosen_port(__be16 port) {
    if (port == 0) return 0;
    for (int i = 0; i < WYE_STEER_UDP_PORTS; ++i) {
        if (wye_settings.udp_ports[i] == bpf_ntohs(port)) return 1;
    }
    return 0;
}

SEC("xdp")
int wye_steer(struct xdp_md* frame) {
    if (wye_settings.everything) return to_router(frame);
    void* end = (void*)(long)frame->data_end;
    struct ethhdr* ethernet = (void*)(long)frame->data;
    if ((void*)(ethernet + 1) > end) return XDP_PASS;
    __be16 type = ethernet->h_proto;
    void* next = ethernet + 1;
    for (int depth = 0; depth < 2 && is_tag(type); ++depth) {
        struct vlan_tag* tag = next;
        if ((void*)(tag + 1) > end) return XDP_PASS;
        if (depth == 0 && is_chosen_vlan(tag->tci)) return to_router(frame);
        type = tag->type;
        next = tag + 1;
    }
    struct udphdr* udp = 0;
    if (type == bpf_htons(ETH_P_IP)) udp = udp_over_ipv4(next, end);
    if (type == bpf_htons(ETH_P_IPV6)) udp = udp_over_ipv6(next, end);
    if (!udp || (void*)(udp + 1) > end) return XDP_PASS;
    return is_chosen_port(udp->dest) ? to_router(frame) : XDP_PASS;
}

/* The helpers that it calls need no licence of the kernel's. */
char wye_licence[] SEC("license") = "BSD";
