/* What the steering program (steer.bpf.c) and its loader (steering.cc) agree on. C, for both.
 * A change of this file raises WYE_STEER_ABI; the loader refuses a program of another number. */
#pragma once

#include <linux/types.h>

#define WYE_STEER_ABI 1u
#define WYE_STEER_UDP_PORTS 8

/* Constant once the program is loaded; the verifier sees the values. */
struct wye_steer_settings {
    __u32 abi;
    __u32 everything; /* 1: all frames, without looking at them */
    __u16 udp_ports[WYE_STEER_UDP_PORTS]; /* destination ports, host byte order; 0: none */
    __u64 vlans[64];  /* a bit for each VLAN id of the outer tag: all of its frames */
};
