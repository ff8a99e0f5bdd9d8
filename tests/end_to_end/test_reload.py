#!/usr/bin/python3
"""Edits that take over what another object has, live; and SIGHUP, which reads --manifest again."""

from pathlib import Path

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import Story, wait_for
from labkit.topology import CONF, PROGRAMS
from labkit.traffic import ping

FILE = "/run/wye/a/own.yaml"


def swapped(text: str) -> str:
    """The tenants' sites change their VLANs."""
    return text.replace("vlan: 10", "vlan: 11").replace("vlan: 20", "vlan: 10").replace(
        "vlan: 11", "vlan: 20")


def renamed(text: str) -> str:
    """A new vport in the place, and with the twin name, of one that goes."""
    return text.replace("- name: red-site\n", "- name: red-new\n        twin: red-site\n")


TUNNEL = "      - {name: red-vxlan, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}\n"
SECOND = '''
      - {name: red-c, vrf: red, tunnel: red-vxlan-2, mac: "02:00:00:01:10:fe",
         mtu: 1500, addresses: [10.255.4.1/30]}
'''


def two_tunnels(text: str, first: int, second: int) -> str:
    own = TUNNEL.replace("vni: 100", f"vni: {first}")
    other = TUNNEL.replace("red-vxlan", "red-vxlan-2").replace("vni: 100", f"vni: {second}")
    return text.replace(TUNNEL, own + other).replace("\n  - name: blue\n",
                                                     SECOND + "\n  - name: blue\n")


def swap_tunnels(fresh) -> str:
    story = Story(fresh.lab)
    for first, second in ((100, 103), (103, 100), (100, 103)):
        story.apply("a", story.edited_manifest("a", "tunnels",
                                               lambda text: two_tunnels(text, first, second)))
        rows = {row["tunnel"]: (row["vni"], row["state"]) for row in
                fresh.topology.show("a", "tunnels") if row["tenant"] == "red"}
        vports = {row["vport"]: row["state"] for row in fresh.topology.show("a", "vports")}
        if (rows["red-vxlan"][0], rows["red-vxlan-2"][0]) != (first, second):
            raise LabError(f"not swapped: {rows}")
        if vports["red-b"] != "up" or vports["red-c"] != "up":
            raise LabError(f"the vports inside: {vports}")
    story.restore_manifest("a")
    return "swapped twice, with the vports inside"


def place(topology, vport: str):
    rows = [row for row in topology.show("a", "vports") if row["vport"] == vport]
    return (rows[0].get("vlan"), rows[0]["state"]) if rows else None


def answered(lab) -> str:
    for host in ("red-host-a", "blue-host-a"):  # the router's MAC address there is another one
        lab.shell(host, "ip neigh flush dev eth0")
    wait_for(lambda: ping(lab, "red-host-a", "10.1.0.1", 2) == 2, "red's router is not there", 5)
    wait_for(lambda: ping(lab, "blue-host-a", "10.1.0.1", 2) == 2, "blue's router is not there", 5)
    return "both tenants' hosts reach the router"


def swap_and_back(fresh) -> str:
    story = Story(fresh.lab)
    story.apply("a", story.edited_manifest("a", "swapped", swapped))
    if place(fresh.topology, "red-site")[0] != 20 or place(fresh.topology, "blue-site")[0] != 10:
        raise LabError(f"the VLANs are not swapped: {fresh.topology.show('a', 'vports')}")
    answered(fresh.lab)
    story.restore_manifest("a")
    return answered(fresh.lab)


def take_over(fresh) -> str:
    story = Story(fresh.lab)
    story.apply("a", story.edited_manifest("a", "renamed", renamed))
    if place(fresh.topology, "red-site") is not None:
        raise LabError("the vport that went is still there")
    answered(fresh.lab)
    story.restore_manifest("a")
    return answered(fresh.lab)


def few_capabilities(fresh) -> str:
    pid = fresh.topology.pid("a", "shim")
    text = fresh.lab.run("lab", "cat", f"/proc/{pid}/status").stdout
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    wanted = {"CapEff": 1 << 12 | 1 << 21, "CapPrm": 1 << 12 | 1 << 21, "CapInh": 0, "CapAmb": 0}
    for name, value in wanted.items():
        if int(fields[name], 16) != value:
            raise LabError(f"{name} is {fields[name]}")
    if fields["NoNewPrivs"].strip() != "1":
        raise LabError("NoNewPrivs is not set")
    return "CAP_NET_ADMIN and CAP_SYS_ADMIN, no_new_privs"


def reload(fresh) -> str:
    lab, topology = fresh.lab, fresh.topology
    text = (CONF / "a" / "manifest.yaml").read_text()
    def write(content):
        lab.run("a", "sh", "-c", f"cat > {FILE}", input=content)
    def hang_up():
        lab.shell("lab", f"kill -HUP {topology.pid('a', 'shim')}")
    write(text)
    topology.kill("a", "shim", "TERM")
    topology.start("a", "shim", "a", str(PROGRAMS["wye-shim"]), "--instance", "a",
                   "--run-dir", "/run/wye/a", "--manifest", FILE)
    topology.await_ready("a")
    write(swapped(text))
    hang_up()
    wait_for(lambda: (place(topology, "red-site") or [0])[0] == 20, "SIGHUP changes nothing", 5)
    write(text + "nonsense: 1\n")
    hang_up()
    log = lab.logs / "a-shim.log"
    wait_for(lambda: "is not applied" in log.read_text(), "a bad manifest is not refused", 5)
    if place(topology, "red-site")[0] != 20:
        raise LabError("a bad manifest changed something")
    write(text)
    hang_up()
    wait_for(lambda: place(topology, "red-site")[0] == 10, "SIGHUP after a refusal", 5)
    return answered(lab)


def variants(topology) -> str:
    """`show workers` says which variant of each step is in use, and it is one that the CPU has."""
    keys = ("admission", "ipv4_lookup", "ipv6_lookup", "acl_lookup")
    rows = topology.show("a", "workers")
    found = {tuple(row.get(key) for key in keys) for row in rows}
    if len(found) != 1 or None in min(found):
        raise LabError(f"not one answer, and whole: {found}")
    flags = Path("/proc/cpuinfo").read_text().split()
    for variant in min(found):
        needs = "avx512bw" if "512" in variant else "avx2" if variant == "AVX2" else "sse4_1"
        if needs not in flags:
            raise LabError(f"{variant} on a CPU without {needs}")
    text = topology.wyectl("a", "show", "workers").stdout
    if "ACL LOOKUP" not in text:
        raise LabError(f"not in the table for people: {text}")
    return ", ".join(f"{key} {value}" for key, value in zip(keys, min(found)))


with FreshLab("test-reload", pops=("a",), frr=False) as fresh:
    case("as it is", answered, fresh.lab)
    case("the shim has given up what it does not need", few_capabilities, fresh)
    case("two tenants swap their VLANs, and back", swap_and_back, fresh)
    case("a new vport takes over VLAN, address and twin name", take_over, fresh)
    case("two tunnels swap their VNIs", swap_tunnels, fresh)
    case("SIGHUP", reload, fresh)
    case("the lookups' variants are shown", variants, fresh.topology)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
