// An access port of a VLAN switch for a kernel whose bridge has no VLAN filtering: what comes in is
// tagged, what goes out is untagged, and frames of other VLANs do not go out at all.
// Attached with tc (clsact) to the bridge's ports; compiled once for each VLAN with -DVLAN=id.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc/push")
int push_tag(struct __sk_buff* packet) {
    if (bpf_skb_vlan_push(packet, bpf_htons(ETH_P_8021Q), VLAN) != 0) return TC_ACT_SHOT;
    return TC_ACT_OK;
}

SEC("tc/pop")
int pop_tag(struct __sk_buff* packet) {
    if (!packet->vlan_present || (packet->vlan_tci & 0xfff) != VLAN) return TC_ACT_SHOT;
    if (bpf_skb_vlan_pop(packet) != 0) return TC_ACT_SHOT;
    return TC_ACT_OK;
}

char license_of_tag[] SEC("license") = "Dual BSD/GPL";
