#!/usr/bin/python3
"""Unit tests that ask for more of the kernel than it has elsewhere, on Debian's; and what the emulated
NIC does to TCP in a tunnel between two kernels, without wye."""

import os
import subprocess
from pathlib import Path

import guest

BUILD = Path(os.environ.get("WYE_BUILD", guest.TOP / "build"))


def unit_test(program: str, names: str) -> str:
    done = subprocess.run([BUILD / "tests" / "unit" / program, f"--gtest_filter={names}"],
                          capture_output=True, text=True)
    if done.returncode != 0 or "[  SKIPPED ]" in done.stdout or "[  PASSED  ] 0" in done.stdout:
        raise guest.LabError(done.stdout[-3000:] + done.stderr[-500:])
    return done.stdout.strip().splitlines()[-1]


def two_kernels() -> str:
    """Linux on a VF of pf0 and on pf1, with a vxlan device each."""
    vf = guest.make_vf(driver="igbvf")
    name = next(Path(f"/sys/bus/pci/devices/{vf}/net").iterdir()).name
    guest.sh("ip netns add far; ip link set pf1 netns far")
    for place, interface, here, there in (("", name, 1, 2), ("far", "pf1", 2, 1)):
        guest.sh(f"""
            {guest.no_offloads(interface)}
            ip link set {interface} up
            ip address add 192.0.2.{here}/30 dev {interface}
            ip link add tunnel type vxlan id 9 local 192.0.2.{here} remote 192.0.2.{there} dstport 4789
            ip link set tunnel mtu 1400 up
            ip address add 10.255.0.{here}/30 dev tunnel""", place)
    guest.wait_for(lambda: guest.reachable("10.255.0.2", ""), "no answer", guest.SLOW)
    return f"VF {vf} is {name}"


def tcp_in_tunnel() -> str:
    return guest.transfer("", "10.255.0.2", server="far", count=200_000)


def tcp_with_offload() -> str:
    """Not a promise: this is how QEMU 10 is. It may be mended one day."""
    guest.sh("ethtool -K pf1 tx on", "far")
    try:
        return "works: " + tcp_in_tunnel()
    except guest.LabError as error:
        return f"stalls, without wye: {error}"


guest.require_guest()
guest.case("VRF devices", unit_test, "kernel/test_kernel_linux", "VrfDeviceTest.*")
guest.case("namespaces", unit_test, "kernel/test_kernel_linux",
           "LinuxKernelTest.Twin*:LinuxKernelTest.Inject*:LinuxKernelTest.Neighbors*")
guest.case("two kernels with a tunnel", two_kernels)
guest.case("TCP in it, checksums by the kernels", tcp_in_tunnel)
guest.case("TCP in it, checksums by the emulated NIC: for the record", tcp_with_offload)
guest.finish()
