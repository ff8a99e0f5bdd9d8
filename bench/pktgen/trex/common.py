"""What the profiles share: their tunables and what every stream is made of. Python as old as TRex takes,
and nothing else of this repository: the TRex machine needs only this folder."""

import argparse

from trex_stl_lib.api import (IP, UDP, Dot1Q, Ether, STLPktBuilder, STLScVmRaw, STLStream, STLTXCont,
                              STLVmFixIpv4, STLVmFlowVar, STLVmWrFlowVar)

FCS = 4  # bytes that Ethernet adds: sizes count them, frames here lack them


def parser(text):
    found = argparse.ArgumentParser(description=text)
    found.add_argument("--size", type=int, default=64,
                       help="of a frame, in bytes, with the 4 of its check sequence")
    found.add_argument("--router-mac", default="02:00:00:00:00:01")
    found.add_argument("--host-mac", default="02:00:00:00:00:02")
    found.add_argument("--vlan", type=int, default=0, help="802.1Q tag; 0: none")
    found.add_argument("--source", default="198.18.0.10")
    found.add_argument("--destination", default="198.19.0.10", help="of a single flow")
    found.add_argument("--destinations", default="",
                       help="file of addresses that make_traffic wrote, one a line")
    return found


def read_arguments(text, tunables, keywords, more=None):
    """TRex passes tunables as a list of words, older clients as keywords."""
    found = parser(text)
    if more:
        more(found)
    words = list(tunables or ())
    known = {action.dest for action in found._actions}
    for key, value in sorted(keywords.items()):
        if key in known:
            words += ["--" + key.replace("_", "-"), str(value)]
    return found.parse_args(words)


def link(arguments):
    """Ethernet towards the router."""
    head = Ether(dst=arguments.router_mac, src=arguments.host_mac)
    return head / Dot1Q(vlan=arguments.vlan) if arguments.vlan else head


def padded(packet, size):
    """As long as a frame of `size` is without its check sequence."""
    missing = size - FCS - len(packet)
    if missing < 0:
        raise ValueError("this frame has %d bytes at least, not %d" % (len(packet) + FCS, size))
    return packet / (b"\0" * missing)


def read_destinations(path):
    if not path:
        raise ValueError("--destinations FILE is needed: bench/pktgen/make_traffic addresses FILE")
    with open(path) as lines:
        found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ValueError("%s has no addresses" % path)
    return found


def number(address):
    value = 0
    for part in address.split("."):
        value = value << 8 | int(part)
    return value


def random_destination(addresses, ip_offset):
    """Instructions of the field engine: one of these addresses at random, and the header's checksum.
    Offsets are numbers, for in a tunnel names do not say which header is meant."""
    return [STLVmFlowVar(name="destination", size=4, op="random",
                         value_list=[number(address) for address in addresses]),
            STLVmWrFlowVar(fv_name="destination", pkt_offset=ip_offset + 16),
            STLVmFixIpv4(offset=ip_offset)]


def random_port(offset, first):
    """A source port from `first` on, for the spreading over queues."""
    return [STLVmFlowVar(name="source_port", size=2, op="random", min_value=first, max_value=65535),
            STLVmWrFlowVar(fv_name="source_port", pkt_offset=offset)]


def flow(arguments, size, destination):
    """One UDP flow; without a checksum of UDP, which IPv4 allows."""
    packet = (link(arguments) / IP(src=arguments.source, dst=destination) /
              UDP(sport=1024, dport=443, chksum=0))
    return padded(packet, size)


def stream(packet, instructions=None, pps=1.0, **options):
    """Continuous; the rate is multiplied by what `start -m` says."""
    machine = STLScVmRaw(instructions) if instructions else None
    return STLStream(packet=STLPktBuilder(pkt=packet, vm=machine), mode=STLTXCont(pps=pps), **options)


def scattered(arguments, size, pps=1.0):
    """Frames of one size to random addresses, from random ports."""
    addresses = read_destinations(arguments.destinations)
    ip = len(link(arguments))
    return stream(flow(arguments, size, addresses[0]),
                  random_port(ip + 20, 1024) + random_destination(addresses, ip), pps=pps)
