"""Does anything of one tenant reach a host of the other?

Every frame carries a mark that says whose it is, and by which way it was put in. They are put in at
every host, at every site's trunk and on both carriers, well formed and forged. Each host listens on
its own interface. A mark of the other tenant is a breach. So that the check can fail in the other
direction too, the well-formed ways must arrive where they belong.
"""

from __future__ import annotations

import json
import logging
import subprocess
import time
from dataclasses import dataclass, field

from .places import HERE, Lab, LabError
from .topology import POPS, TENANTS, site_number
from .traffic import end_child, host, host_address, other

AGENTS = HERE / "agents"
VNI = {"red": 100, "blue": 200}
FORGED_SOURCE = "02:00:00:00:66:66"


def vport_mac(tenant: str, pop: str) -> str:
    return f"02:00:00:0{site_number(pop)}:{TENANTS[tenant]}:01"


def tunnel_mac(tenant: str, pop: str) -> str:
    return f"02:00:00:0{site_number(pop)}:{TENANTS[tenant]}:ff"


def carrier_mac(pop: str, family: int) -> str:
    return f"02:00:00:0{site_number(pop)}:0{family}:01"


@dataclass
class Findings:
    breaches: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    injected: int = 0
    arrived: int = 0


def scapy():
    logging.getLogger("scapy").setLevel(logging.ERROR)
    import scapy.all as everything
    import scapy.contrib.geneve as geneve
    return everything, geneve


def mark(tenant: str, way: str) -> bytes:
    return f"WYE-MARK:{tenant}:{way};".encode()


def payloads(tenant: str, way: str, source_pop: str, target_pop: str):
    """The same inner packet in both families."""
    s, _ = scapy()
    data = s.UDP(sport=4000, dport=4001) / mark(tenant, way)
    yield s.IP(src=host_address(source_pop, 4), dst=host_address(target_pop, 4)) / data
    yield s.IPv6(src=host_address(source_pop, 6), dst=host_address(target_pop, 6)) / data


def site_frames(pop: str) -> list[tuple[str, bytes]]:
    """What is put in on the trunk of a site, as if it came from the switch."""
    s, _ = scapy()
    frames = []
    for tenant, vlan in TENANTS.items():
        other_vlan = next(v for t, v in TENANTS.items() if t != tenant)
        rival = next(t for t in TENANTS if t != tenant)
        for target in POPS:
            for packet in payloads(tenant, "good-site" if target != pop else "hairpin",
                                   pop, target):
                frames.append(s.Ether(src=FORGED_SOURCE, dst=vport_mac(tenant, pop)) /
                              s.Dot1Q(vlan=vlan) / packet)
            for packet in payloads(tenant, "forged", pop, target):
                rival_mac = vport_mac(rival, pop)
                ethernet = s.Ether(src=FORGED_SOURCE, dst=rival_mac)
                # The tenant's own VLAN, the rival's MAC; stacked, priority and unknown tags.
                frames += [ethernet / s.Dot1Q(vlan=vlan) / packet,
                           ethernet / s.Dot1Q(vlan=vlan) / s.Dot1Q(vlan=other_vlan) / packet,
                           ethernet / s.Dot1AD(vlan=vlan) / s.Dot1Q(vlan=other_vlan) / packet,
                           ethernet / s.Dot1Q(vlan=0) / packet,
                           ethernet / s.Dot1Q(vlan=4000) / packet,
                           ethernet / packet]
    return [bytes(frame) for frame in frames]


def carrier_frames(pop: str, family: int) -> list[bytes]:
    """What is put in on a carrier towards `pop`, as if it came from the other PoP or from afar."""
    s, geneve = scapy()
    frames = []
    far = other(pop)
    n, m = site_number(pop), site_number(far)

    def outer(source: str | None = None, target: str | None = None):
        ethernet = s.Ether(src=carrier_mac(far, family), dst=carrier_mac(pop, family))
        if family == 4:
            return ethernet / s.IP(src=source or f"192.0.2.{m}", dst=target or f"192.0.2.{n}")
        return ethernet / s.IPv6(src=source or f"2001:db8:c6::{m}",
                                 dst=target or f"2001:db8:c6::{n}")

    for tenant in TENANTS:
        rival = next(t for t in TENANTS if t != tenant)
        own_carrier = (tenant == "red") == (family == 4)
        for packet in payloads(tenant, "good-tunnel" if own_carrier else "forged", far, pop):
            inner = s.Ether(src=tunnel_mac(tenant, far), dst=tunnel_mac(tenant, pop)) / packet
            shim = s.VXLAN(vni=VNI[tenant], flags="Instance") if family == 4 else \
                geneve.GENEVE(vni=VNI[tenant], proto=0x6558)
            port = 4789 if family == 4 else 6081
            frames.append(outer() / s.UDP(sport=50000, dport=port) / shim / inner)
        for packet in payloads(tenant, "forged", far, pop):
            inner = s.Ether(src=tunnel_mac(tenant, far), dst=tunnel_mac(rival, pop)) / packet
            # The tenant's bytes with its own VNI by the rival's kind of tunnel, and towards the
            # rival's MAC; VNIs that nobody has; a source that is no tunnel's remote end.
            for vni in (VNI[tenant], 0, VNI["red"] + VNI["blue"], (1 << 24) - 1):
                frames += [outer() / s.UDP(sport=50000, dport=4789) /
                           s.VXLAN(vni=vni, flags="Instance") / inner,
                           outer() / s.UDP(sport=50000, dport=6081) /
                           geneve.GENEVE(vni=vni, proto=0x6558) / inner]
            stranger = "198.51.100.9" if family == 4 else "2001:db8:9::9"
            for vni in VNI.values():
                frames += [outer(stranger) / s.UDP(sport=50000, dport=4789) /
                           s.VXLAN(vni=vni, flags="Instance") / inner,
                           outer(stranger) / s.UDP(sport=50000, dport=6081) /
                           geneve.GENEVE(vni=vni, proto=0x6558) / inner]
            # Bare inner packets in the underlay.
            frames.append(s.Ether(src=carrier_mac(far, family), dst=carrier_mac(pop, family)) /
                          packet)
    return [bytes(frame) for frame in frames]


def check(lab: Lab) -> Findings:
    findings = Findings()
    hosts = [(tenant, pop) for tenant in TENANTS for pop in POPS]
    listeners: dict[tuple[str, str], subprocess.Popen] = {}
    for tenant, pop in hosts:
        listeners[tenant, pop] = lab.spawn(host(tenant, pop), "/usr/bin/python3",
                                           str(AGENTS / "listen_marks.py"), "eth0",
                                           stdout=subprocess.PIPE, text=True)
    for place, listener in listeners.items():
        if "ready" not in listener.stdout.readline():
            raise LabError(f"the listener at {host(*place)} does not start")

    for pop in POPS:
        inject(lab, f"switch-{pop}", "trunk", site_frames(pop), findings)
        far_wire = f"wire-{other(pop)}"
        inject(lab, far_wire, "c4", carrier_frames(pop, 4), findings)
        inject(lab, far_wire, "c6", carrier_frames(pop, 6), findings)
    time.sleep(0.5)

    arrived: dict[tuple[str, str], dict[str, int]] = {}
    for place, listener in listeners.items():
        end_child(listener)
        arrived[place] = json.loads(listener.communicate(timeout=10)[0])
    for (tenant, pop), marks in arrived.items():
        for name, count in marks.items():
            findings.arrived += count
            if name.partition(":")[0] != tenant:
                findings.breaches.append(
                    f"{count} frames of '{name}' reached {host(tenant, pop)}")
        for way in ("good-site", "good-tunnel"):
            if marks.get(f"{tenant}:{way}", 0) == 0:
                findings.missing.append(f"no frame of '{tenant}:{way}' reached {host(tenant, pop)}")
    return findings


def inject(lab: Lab, place: str, interface: str, frames: list[bytes], findings: Findings) -> None:
    lab.run(place, "/usr/bin/python3", str(AGENTS / "inject_marks.py"), interface,
            input=json.dumps([frame.hex() for frame in frames]))
    findings.injected += len(frames)
