"""Tunnelled frames of several VNIs; the inner packets go to random addresses of the real table."""

import struct
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common  # noqa: E402

from trex_stl_lib.api import (IP, UDP, Ether, STLVmFlowVar, STLVmWrMaskFlowVar)  # noqa: E402

# The UDP port and what precedes the VNI: RFC 7348 §5, RFC 8926 §3.4 (payload: Ethernet).
KINDS = {"vxlan": (4789, 0x08000000), "geneve": (6081, 0x00006558)}


def tunnel_arguments(found):
    found.set_defaults(size=128)
    found.add_argument("--kind", choices=sorted(KINDS), default="vxlan")
    found.add_argument("--first-vni", type=int, default=5001)
    found.add_argument("--vnis", type=int, default=16)
    found.add_argument("--remote", default="192.0.2.16", help="outer source address")
    found.add_argument("--local", default="192.0.2.1", help="the router's tunnel address")
    found.add_argument("--inner-mac", default="02:00:00:00:00:01", help="of the tunnel's vport")


class Profile:
    def get_streams(self, direction=0, tunables=(), **keywords):
        arguments = common.read_arguments(__doc__, tunables, keywords, tunnel_arguments)
        addresses = common.read_destinations(arguments.destinations)
        port, first_word = KINDS[arguments.kind]
        outer = (common.link(arguments) / IP(src=arguments.remote, dst=arguments.local) /
                 UDP(sport=49152, dport=port, chksum=0))
        start = len(outer)
        head = struct.pack("!II", first_word, arguments.first_vni << 8)
        inner = (Ether(dst=arguments.inner_mac, src=arguments.host_mac) /
                 IP(src=arguments.source, dst=addresses[0]) / UDP(sport=1024, dport=443, chksum=0))
        # As bytes: what lies in a tunnel must not be taken for headers of the outer packet. The inner
        # lengths are those of a packet that fills the frame.
        inner = common.padded(inner, arguments.size - start - len(head))
        instructions = (
            [STLVmFlowVar(name="vni", size=4, op="random", min_value=arguments.first_vni,
                          max_value=arguments.first_vni + arguments.vnis - 1),
             STLVmWrMaskFlowVar(fv_name="vni", pkt_offset=start + 4, pkt_cast_size=4,
                                mask=0xFFFFFF00, shift=8)] +
            common.random_port(start - 8, 49152) +
            common.random_destination(addresses, start + len(head) + 14))
        return [common.stream(outer / (head + bytes(inner)), instructions)]


def register():
    return Profile()
