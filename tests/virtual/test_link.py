#!/usr/bin/python3
"""A VF that loses its link, is reset by its PF, or is taken away while it forwards: the port goes down,
the process and its other threads go on, and the port comes back by itself."""

import subprocess
import sys

import guest
from guest import SLOW, LabError, Router, case, finish, ping, sh, wait_for

router = Router()


def come_up() -> str:
    guest.make_others()
    router.take(guest.make_vf())
    router.start_dataplane()
    router.make_vrfs()
    router.start_shim(frr=False)
    wait_for(lambda: guest.reachable("10.1.0.1", "red-host"), "the router does not answer", SLOW)
    return ping("10.1.0.1", "red-host")


def link() -> str:
    rows = [row for row in router.show("ports") if row["port"] == "nic"]
    if len(rows) != 1:
        raise LabError(f"the port is shown {len(rows)} times")
    return rows[0]["link"]


def await_link(wanted: str) -> None:
    wait_for(lambda: link() == wanted, f"the port's link does not become {wanted}", SLOW, 0.2)
    router.alive("dataplane")


def answers_again() -> str:
    await_link("up")
    wait_for(lambda: guest.reachable("10.1.0.1", "red-host"), "no answer any more", SLOW)
    wait_for(lambda: guest.reachable("10.1.0.1", "blue-host"), "no answer to blue any more", SLOW)
    return "untagged and tagged, as before"


def cable() -> str:
    monitor = guest.Monitor()
    monitor.cable("igb0", False)
    try:
        await_link("down")
    finally:
        monitor.cable("igb0", True)
    return answers_again()


def pf_down() -> str:
    sh("ip link set pf0 down")
    try:
        await_link("down")
    finally:
        sh("ip link set pf0 up")
    return answers_again()


def pf_reset() -> str:
    """The PF is set up anew, and with it all of the VF's filters are gone."""
    before = router.log("dataplane").count("is back")
    sh("ip link set pf0 mtu 1400; ip link set pf0 mtu 1500")
    said = answers_again()
    return f"{said}; taken anew {router.log('dataplane').count('is back') - before} times"


def taken_away() -> str:
    """While traffic flows. The kernel waits until nobody uses the device."""
    flood = subprocess.Popen(["ip", "netns", "exec", "red-host", "ping", "-q", "-i", "0.02",
                              "10.1.0.1"], stdout=subprocess.DEVNULL)
    try:
        sh("echo 0 > /sys/class/net/pf0/device/sriov_numvfs", timeout=60)
        await_link("down")
        if "is taken away" not in router.log("dataplane"):
            raise LabError("the data plane does not say so")
        if guest.reachable("10.1.0.1", "red-host"):
            raise LabError("answers without a device")
        if guest.make_vf() != router.vf:
            raise LabError("the VF has another address now")
        return answers_again()
    finally:
        flood.kill()


guest.require_guest()
try:
    case("the router is up on a VF", come_up)
    case("the cable is pulled", cable)
    case("the PF is set down", pf_down)
    case("the PF is reset", pf_reset)
    case("the VF is taken away and made anew", taken_away)
    case("and again", taken_away)
    case("ledger", router.balanced)
finally:
    router.stop()
    router.tell_logs()
    if "--look" in sys.argv:
        print(sh("dmesg | tail -30").stdout)
finish()
