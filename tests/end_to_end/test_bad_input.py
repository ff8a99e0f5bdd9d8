#!/usr/bin/python3
"""Bad input is refused whole, in words, and the tenants' traffic goes on meanwhile."""

import socket
import struct
import time

from tap import FreshLab, LabError, balanced, case, finish

from labkit.isolation import Findings, carrier_frames, inject, scapy, site_frames
from labkit.story import Story, wait_for
from labkit.topology import CONF
from labkit.traffic import Streams, every_flow, ping

MANIFESTS = {
    # what is wrong: (edit of the lab's manifest, words that the answer must contain)
    "not YAML": (lambda t: t + "\n  - {", ["bad.yaml:"]),
    "unknown key": (lambda t: t.replace("vlan: 10", "vlam: 10"), ["vlam"]),
    "duplicate VNI": (lambda t: t.replace("vni: 200", "vni: 100"), ["vni", "100"]),
    "unknown VRF": (lambda t: t.replace("vrf: blue\n        port", "vrf: blau\n        port"),
                    ["blau"]),
    "unknown port": (lambda t: t.replace("port: access\n        vlan: 20", "port: nowhere"),
                     ["nowhere"]),
    "VLAN taken twice": (lambda t: t.replace("vlan: 20", "vlan: 10"), ["vlan"]),
    "impossible VLAN": (lambda t: t.replace("vlan: 20", "vlan: 4095"), ["4095"]),
    "two things at once": (lambda t: t.replace("vlan: 20", "vlan: 4095").replace(
        "vlan: 10", "vlam: 10"), ["4095", "vlam"]),
    "empty": (lambda t: "", ["bad.yaml"]),
}


def refused_manifest(fresh, edit, words) -> str:
    before = fresh.topology.show("a", "vports")
    text = edit((CONF / "a" / "manifest.yaml").read_text())
    fresh.lab.run("a", "sh", "-c", "cat > /run/wye/a/bad.yaml", input=text)
    done = fresh.topology.wyectl("a", "apply", "-f", "/run/wye/a/bad.yaml", check=False)
    if done.returncode != 1:
        raise LabError(f"exit {done.returncode}, expected 1: {done.stdout}{done.stderr}")
    for word in words:
        if word not in done.stderr:
            raise LabError(f"the answer does not name '{word}': {done.stderr}")

    def identity(rows):
        return [{k: r[k] for k in ("vport", "vrf", "port", "vlan", "state") if k in r}
                for r in rows]

    if identity(fresh.topology.show("a", "vports")) != identity(before):
        raise LabError("something of the refused manifest was applied")
    return done.stderr.strip().splitlines()[0]


def connect(fresh, path: str, kind: int) -> socket.socket:
    """A socket inside the lab: the run directory is a mount of the lab's own."""
    root = f"/proc/{fresh.lab.require()}/root"
    client = socket.socket(socket.AF_UNIX, kind)
    client.settimeout(3)
    client.connect(root + path)
    return client


def handshake(fresh, message: bytes, word: str) -> str:
    """A stranger's first message to the data plane, refused in words (or by closing)."""
    with connect(fresh, "/run/wye/b/dataplane.sock", socket.SOCK_SEQPACKET) as client:
        client.send(message)
        try:
            answer = client.recv(4096)
        except TimeoutError as error:
            raise LabError("no answer, and the connection stays open") from error
    text = answer[8:].split(b"\0")[0].decode(errors="replace")
    if word not in text:
        raise LabError(f"the refusal does not say '{word}': {text!r}")
    return text


def garbage_plugin(fresh) -> str:
    for junk in (b"\xff" * 4096, b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 8):
        with connect(fresh, "/run/wye/b/zebra.sock", socket.SOCK_STREAM) as client:
            try:
                client.sendall(junk)
                while client.recv(4096):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
            except TimeoutError as error:
                raise LabError("the connection with garbage stays open") from error
    return "three kinds of garbage, each closed"


def garbage_frames(fresh) -> str:
    """Good frames cut at every byte, and random ones, at a site and on both carriers."""
    import random
    source = random.Random(1)
    _ = scapy()
    total = Findings()
    for place, interface, frames in (("switch-a", "trunk", site_frames("a")),
                                     ("wire-b", "c4", carrier_frames("a", 4)),
                                     ("wire-b", "c6", carrier_frames("a", 6))):
        longest = max(frames, key=len)
        cut = [longest[:n] for n in range(14, len(longest))]
        cut += [longest[:30] + source.randbytes(source.randrange(1, 200)) for _ in range(200)]
        # Marks of cut frames may arrive where they belong; isolation has its own test.
        inject(fresh.lab, place, interface, cut, total)
    return f"{total.injected} frames"


def routes_to_nowhere(fresh) -> str:
    """A route by an interface that is no vport's, and one in a VRF that no tenant has."""
    topology = fresh.topology
    topology.configure("b", "ip route 203.0.113.0/24 lo")
    row = wait_for(lambda: [r for r in topology.show("b", "routes", "--prefix", "203.0.113.0/24")
                            if r["state"] == "unresolved"],
                   "the route by 'lo' is not shown as unresolved")
    topology.configure("b", "no ip route 203.0.113.0/24 lo")
    fresh.lab.shell("b", "ip netns add stray; ip -n stray link set lo up")
    time.sleep(0.5)
    topology.configure("b", "vrf stray", "ip route 203.0.113.0/24 lo")
    time.sleep(1)
    if any(r["state"] == "installed" and r["prefix"] == "203.0.113.0/24"
           for r in topology.show("b", "routes")):
        raise LabError("a route of a VRF that no tenant has was installed")
    return f"shown as {row[0]['state']}"


def full_quota(fresh) -> str:
    """One route more than the tenant may have: that one is refused, and what stands still works."""
    topology = fresh.topology
    count = next(r["routes"] for r in topology.show("a", "tenants") if r["tenant"] == "red")
    text = (CONF / "a" / "manifest.yaml").read_text().replace(
        "routes: 10000", f"routes: {count + 1}", 1)
    fresh.lab.run("a", "sh", "-c", "cat > /run/wye/a/quota.yaml", input=text)
    topology.wyectl("a", "apply", "-f", "/run/wye/a/quota.yaml")
    prefixes = ("10.91.0.0/24", "10.92.0.0/24")
    try:
        for prefix in prefixes:
            topology.configure("a", "vrf red", f"ip route {prefix} 10.255.0.2")

        def states():
            return sorted(r["state"] for prefix in prefixes
                          for r in topology.show("a", "routes", "--vrf", "red", "--prefix", prefix))

        wait_for(lambda: states() == ["installed", "refused"],
                 f"expected one of two routes to be refused, got {states()}")
        if "quota" not in topology.wyectl("a", "show", "status").stdout:
            raise LabError("wyectl show status does not say that the quota is the reason")
        if ping(fresh.lab, "red-host-a", "10.2.0.10", 2) != 2:
            raise LabError("red's other routes suffer")
        zebra = "".join(topology.vtysh("a", f"show ip route vrf red {p}") for p in prefixes)
        if "\n  r 10.255.0.2" not in zebra:  # r: refused, in the list of next hops
            raise LabError(f"zebra does not show the refused route as rejected: {zebra}")
    finally:
        for prefix in prefixes:
            topology.configure("a", "vrf red", f"no ip route {prefix} 10.255.0.2")
        topology.wyectl("a", "apply", "-f", str(CONF / "a" / "manifest.yaml"))
    return f"quota {count + 1}: one installed, one refused and shown in zebra"


def second_instance(fresh, name: str) -> str:
    """The same daemon started again is refused with its own exit code."""
    program = {"dataplane": fresh.topology.start_dataplane, "shim": fresh.topology.start_shim}[name]
    pid = fresh.topology.pid("b", name)
    program("b")
    time.sleep(1.5)
    log = (fresh.lab.logs / f"b-{name}.log").read_text().splitlines()
    fresh.lab.run("lab", "kill", "-0", str(pid))
    other_pid = fresh.topology.pid("b", name)
    alive = fresh.lab.run("lab", "kill", "-0", str(other_pid), check=False).returncode == 0
    fresh.lab.shell("lab", f"echo {pid} > /run/wye/b/{name}.pid")
    if alive:
        raise LabError(f"two {name}s run for one instance")
    return log[-1] if log else ""


with FreshLab("test-bad") as fresh:
    story = Story(fresh.lab)
    case("routes first", story.routes_from_frr)
    case("traffic first", story.pings)
    drops_before = story.drops()
    streams = Streams(fresh.lab, every_flow(7400, (4,)), 200, 120)
    for what, (edit, words) in MANIFESTS.items():
        case(f"manifest refused: {what}", refused_manifest, fresh, edit, words)
    hello = struct.Struct("=IHHHHI")
    magic = 0x31657977
    good = hello.pack(magic, 1, 16, 2, 3, 7)
    case("handshake refused: truncated", handshake, fresh, good[:9], "")
    case("handshake refused: wrong magic", handshake, fresh, hello.pack(1, 1, 16, 2, 3, 7), "")
    case("handshake refused: a version of the past", handshake, fresh,
         hello.pack(magic, 1, 16, 1, 1, 7), "upgrade the shim")
    case("handshake refused: a version of the future", handshake, fresh,
         hello.pack(magic, 1, 16, 900, 901, 7), "version")
    case("handshake refused: a second shim", handshake, fresh, good, "session")
    case("garbage instead of the plugin", garbage_plugin, fresh)
    case("garbage frames", garbage_frames, fresh)
    case("routes to nowhere", routes_to_nowhere, fresh)
    case("a full table", full_quota, fresh)
    case("a second data plane", second_instance, fresh, "dataplane")
    case("a second shim", second_instance, fresh, "shim")
    streams.stop()
    case("traffic went on all the while", story.no_loss, streams.results(), drops_before)
    case("a ping still passes", lambda: str(ping(fresh.lab, "red-host-a", "10.2.0.10", 3)))
    case("ledger", balanced, fresh.topology)
finish()
