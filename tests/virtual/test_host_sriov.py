#!/usr/bin/python3
"""wyectl host on emulated NICs: VFs are made, set, bound, kept after a failure, given back, and made
again after a restart of the machine. Judged by iproute2 and sysfs."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "end_to_end"))

from tap import LabError, case, finish, need_root  # noqa: E402

BUILD = Path(os.environ["WYE_BUILD"])
WYECTL = BUILD / "controlplane-shim" / "cli" / "wyectl"
DATAPLANE = BUILD / "dataplane" / "main" / "wye-dataplane"
NET = Path("/sys/class/net")
PCI = Path("/sys/bus/pci/devices")
FILE = Path("/etc/wye/host.yaml")
HOST = """
physical_functions:
  - interface: pf0
    vfs: 2
    functions:
      - {number: 0, name: wan, mac: "02:00:00:00:00:01", vlan: 100, trust: true, spoof_check: false}
      - {number: 1, name: lan, mac: "02:00:00:00:00:02", max_rate: 50, driver: kernel}
  - address: "%s"
    vfs: 1
    functions: [{number: 0, name: far}]
"""


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False)
    if done.returncode != code:
        raise LabError(f"{shlex.join(map(str, words))}: exit code {done.returncode}: "
                       f"{done.stdout}{done.stderr}")
    return done


def host(*words, code=0):
    return run(WYECTL, "host", *words, code=code)


def expect(good, what):
    if not good:
        raise LabError(what)


def pf_address(pf):
    return (NET / pf / "device").resolve().name


def vfs(pf):
    shown = json.loads(run("ip", "-j", "-d", "link", "show", pf).stdout)[0]
    return shown.get("vfinfo_list", [])


def vf_address(pf, number):
    return (NET / pf / "device" / f"virtfn{number}").resolve().name


def driver(address):
    link = PCI / address / "driver"
    return link.resolve().name if link.exists() else None


def count(pf):
    return int((NET / pf / "device" / "sriov_numvfs").read_text())


def write(text):
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text)


def dry():
    write(HOST % pf_address("pf1"))
    for command in ("plan", "apply"):
        said = host(command).stdout
        expect("would do: " in said and "nothing was changed" in said, said)
    expect((count("pf0"), count("pf1")) == (0, 0), "VFs were made")
    return f"{said.count('would do')} steps"


def is_as_asked():
    first, second = vfs("pf0")
    expect(first["address"] == "02:00:00:00:00:01", first)
    expect(first["vlan_list"][0]["vlan"] == 100, first)
    expect(first["trust"] is True and first["spoofchk"] is False, first)
    expect(second["address"] == "02:00:00:00:00:02", second)
    expect(second["rate"]["max_tx"] == 50, second)
    expect(driver(vf_address("pf0", 0)) == "vfio-pci", "VF 0 has no vfio-pci")
    expect(driver(vf_address("pf0", 1)) == "igbvf", "VF 1 has not the kernel's driver")
    expect(driver(vf_address("pf1", 0)) == "vfio-pci", "VF of pf1 has no vfio-pci")
    expect(Path("/run/wye-host/vf/far").resolve().name == vf_address("pf1", 0), "name far")


def apply():
    host("apply", "--yes")
    is_as_asked()
    return "as iproute2 and sysfs show"


def again():
    done = json.loads(host("apply", "--yes", "--json").stdout)
    expect(done["steps"] == [] and not done["changed"], done)
    is_as_asked()


def named():
    config = Path("/tmp/dataplane.yaml")
    config.write_text("workers: [{core: 1}]\nports:\n  - {name: a, kind: pci, vf: wan}\n"
                      "  - {name: b, kind: pci, pf: pf1, number: 0}\n")
    run(DATAPLANE, "--config", config, "--check")
    plan = json.loads(host("placement", "--config", config, "--json").stdout)
    expect([port["pci_address"] for port in plan["ports"]] ==
           [vf_address("pf0", 0), vf_address("pf1", 0)], plan["ports"])
    expect([port["nodes"] for port in plan["ports"]] == [[0], [1]], plan["ports"])
    config.write_text("workers: [{core: 1}]\nports: [{name: a, kind: pci, vf: nobody}]\n")
    said = run(DATAPLANE, "--config", config, "--check", code=8).stderr
    expect("no VF is called nobody" in said, said)


def in_use():
    group = (PCI / vf_address("pf0", 0) / "iommu_group").resolve().name
    descriptor = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    try:
        said = host("release", "--yes", code=1).stderr
    finally:
        os.close(descriptor)
    expect(f"process {os.getpid()} has it open" in said, said)
    is_as_asked()
    return said.strip()


def failure():
    """igb has no link_state: the second PF's steps are undone with those of the first."""
    write((HOST % pf_address("pf1")).replace("name: lan,", "name: lan, vlan: 7, link_state: enable,"))
    said = host("apply", "--yes", code=1).stderr
    write(HOST % pf_address("pf1"))
    expect("link_state enable" in said and "everything is as it was before" in said, said)
    expect("leave link_state out" in said or "leave it" in said, said)
    is_as_asked()
    expect(vfs("pf0")[1]["vlan_list"][0].get("vlan", 0) == 0, vfs("pf0")[1])
    return said.strip().splitlines()[0]


def service_tag():
    """igb tags with 802.1Q only; the kernel takes the protocol in a list of its own."""
    write((HOST % pf_address("pf1")).replace("vlan: 100,", "vlan: 100, vlan_protocol: 802.1ad,"))
    said = host("apply", "--yes", code=1).stderr
    write(HOST % pf_address("pf1"))
    expect("leave vlan_protocol out" in said, said)
    is_as_asked()


def release():
    host("release", "--yes")
    expect((count("pf0"), count("pf1")) == (0, 0), "VFs are left")
    expect(not Path("/run/wye-host/record.json").exists(), "the record is left")
    expect(not list(Path("/run/wye-host/vf").iterdir()), "names are left")
    expect("nothing was applied" in host("release", "--yes").stdout, "released twice")


def restart():
    """What the unit runs at the start of the machine, when /run is empty and no VF is there."""
    unit = (BUILD / "conf" / "wye-host.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    expect(words[0].endswith("/bin/wyectl"), words)
    run(WYECTL, *words[1:])
    is_as_asked()
    host("release", "--yes")


def killed():
    """VFs are there, the record too, nothing else is done: as a killed apply leaves it."""
    host("apply", "--yes")
    run("ip", "link", "set", "pf0", "vf", "0", "vlan", "0")
    (PCI / vf_address("pf0", 0) / "driver" / "unbind").write_text(vf_address("pf0", 0))
    host("apply", "--yes")
    is_as_asked()
    release()


need_root()
run("modprobe", "igbvf")  # udev does that elsewhere
for name in ("pf0", "pf1"):
    run("ip", "link", "set", name, "up")
case("plan, and apply without --yes, change nothing", dry)
case("apply makes, sets, binds and names", apply)
case("a second apply changes nothing", again)
case("dataplane.yaml finds a VF by name, and by PF and number", named)
case("a VF in use is not taken away", in_use)
case("a failure half way is rolled back", failure)
case("a VLAN protocol that the NIC has not is refused with the fix", service_tag)
case("release gives everything back", release)
case("the unit makes it again after a restart", restart)
case("what a killed apply left is completed, then released", killed)
finish()
