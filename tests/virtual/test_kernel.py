#!/usr/bin/python3
"""Unit tests that ask for more of the kernel than it has elsewhere, on Debian's."""

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


guest.require_guest()
guest.case("VRF devices", unit_test, "kernel/test_kernel_linux", "VrfDeviceTest.*")
guest.case("namespaces", unit_test, "kernel/test_kernel_linux",
           "LinuxKernelTest.Twin*:LinuxKernelTest.Inject*:LinuxKernelTest.Neighbors*")
guest.finish()
