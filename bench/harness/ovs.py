"""Open vSwitch with DPDK, from Debian's packages, as a VXLAN router without ACL: an OpenFlow rule for
each /24 to which frames go, new MAC addresses, TTL, VXLAN over its own IPv4 stack.

It is private: its database and sockets are in the scratch folder, and its bridges in a network
namespace that ends with it."""

import os
import subprocess
import time
from pathlib import Path

import frames
from applications import TOP, Application, Source, need


def fetched():
    """The folder into which bench/fetch-openvswitch has unpacked the packages."""
    found = subprocess.run([str(TOP / "bench/fetch-openvswitch"), "--print"],
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    return need(found, "run bench/fetch-openvswitch")


class OpenVswitch(Application):
    def __init__(self, bench, template, destinations):
        folder = bench.new_folder("ovs")
        self.folder, self.tree, self.bench = folder, fetched(), bench
        self.destinations, self.database = destinations, None
        source = Source(bench.driver, folder, template)
        self.environment = {**os.environ, "OVS_RUNDIR": str(folder), "OVS_LOGDIR": str(folder),
                            "OVS_DBDIR": str(folder), "OVS_SYSCONFDIR": str(folder)}
        daemon = self.tree / "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
        command = ["unshare", "--net", "env",
                   *(f"{key}={self.environment[key]}" for key in self.environment if "OVS_" in key),
                   str(daemon), f"unix:{folder}/db.sock", f"--unixctl={folder}/control.sock"]
        super().__init__("ovs-dpdk vxlan", command, source, folder,
                         lambda sent: frames.check_encapsulated(sent, "vxlan", tag=0))
        self.programmer = None

    def tool(self, name, *words):
        done = subprocess.run([str(self.tree / "usr/bin" / name), *map(str, words)],
                              env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{name} {words[0]}: {done.stdout.strip()}")

    def vsctl(self, *words):
        self.tool("ovs-vsctl", f"--db=unix:{self.folder}/db.sock", *words)

    def start_database(self):
        self.tool("ovsdb-tool", "create", self.folder / "conf.db",
                  self.tree / "usr/share/openvswitch/vswitch.ovsschema")
        with open(self.folder / "database.log", "wb") as log:
            self.database = subprocess.Popen(
                [str(self.tree / "usr/sbin/ovsdb-server"), str(self.folder / "conf.db"),
                 f"--remote=punix:{self.folder}/db.sock", f"--unixctl={self.folder}/database.sock"],
                env=self.environment, stdout=log, stderr=log)
        until = time.monotonic() + 10
        while not (self.folder / "db.sock").exists() and time.monotonic() < until:
            time.sleep(0.02)
        memory = self.bench.memory(1024, "ovs")
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true",
                   f"other_config:pmd-cpu-mask={1 << self.bench.worker_cpu:#x}",
                   f"other_config:dpdk-extra={' '.join(memory)} -l {self.bench.main_cpu}")

    def in_namespace(self, *words):
        subprocess.run(["nsenter", "--target", str(self.process.pid), "--net", *words], check=True)

    def configure(self):
        """br-int routes the frames into the tunnel, br-phy sends the tunnel's packets."""
        for bridge in ("br-int", "br-phy"):
            self.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev",
                       "fail_mode=secure")
        self.vsctl("add-port", "br-phy", "out", "--", "set", "interface", "out", "type=dpdk",
                   f'options:dpdk-devargs="{self.source.arguments(1, ",silent=1")}"')
        # Only these frames, from the first on: there are rules for no others.
        self.wait_for(self.source.opened, 30, "did not open the source")
        self.source.choose((0, len(self.destinations)))
        self.in_namespace("ip", "address", "add", "192.0.2.1/24", "dev", "br-phy")
        self.in_namespace("ip", "link", "set", "br-phy", "up")
        self.vsctl("add-port", "br-int", "vx", "--", "set", "interface", "vx", "type=vxlan",
                   "options:remote_ip=192.0.2.16", f"options:key={frames.VNI}",
                   "ofport_request=2")
        control = self.folder / "control.sock"
        self.tool("ovs-appctl", "-t", control, "tnl/neigh/set", "br-phy", "192.0.2.16",
                  "02:00:00:00:00:03")
        self.tool("ovs-ofctl", "add-flow", f"unix:{self.folder}/br-phy.mgmt", "actions=normal")
        rules = self.folder / "rules"
        networks = sorted({destination >> 8 for destination in self.destinations})
        rules.write_text("".join(
            f"ip,in_port=1,nw_dst={network >> 16}.{network >> 8 & 255}.{network & 255}.0/24,"
            "actions=mod_dl_src:02:00:00:00:00:01,mod_dl_dst:02:00:00:00:00:03,dec_ttl,output:2\n"
            for network in networks))
        self.tool("ovs-ofctl", "add-flows", f"unix:{self.folder}/br-int.mgmt", rules)
        devargs = self.source.arguments(0).replace(f",capture={self.source.capture}", "")
        self.vsctl("add-port", "br-int", "in", "--", "set", "interface", "in", "type=dpdk",
                   f'options:dpdk-devargs="{devargs}"', "ofport_request=1")

    def start(self):
        self.start_database()
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)
        self.wait_for((self.folder / "control.sock").exists, 30, "did not start")
        self.configure()
        self.wait_for(lambda: self.source.read()[1] > 2_000_000, 60, "does not forward")
        self.check(frames.read_capture(self.source.capture))
        self.pause()

    def stop(self):
        super().stop()
        if self.database:
            self.database.terminate()
            self.database.wait()
