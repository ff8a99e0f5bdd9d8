"""What scripts/setup --vm has put on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ADVICE = "run: sudo scripts/setup --vm"


class LabMissing(Exception):
    """One line: what is missing and what to run."""


@dataclass(frozen=True)
class Packages:
    qemu: str
    vmlinuz: Path
    release: str
    modules: Path  # /lib/modules/<release> of the guest
    busybox: Path


def find() -> Packages:
    cache = Path(os.environ.get("WYE_VM_CACHE", "/var/cache/wye-vm"))
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise LabMissing(f"the virtual lab is not set up (no qemu-system-x86_64); {ADVICE}")
    release_file = cache / "kernel" / "release"
    busybox = cache / "busybox" / "bin" / "busybox"
    if not release_file.exists() or not busybox.exists():
        raise LabMissing(f"the virtual lab is not set up (no kernel in {cache}); {ADVICE}")
    release = release_file.read_text().strip()
    return Packages(qemu, cache / "kernel" / "boot" / f"vmlinuz-{release}", release,
                    cache / "kernel" / "lib" / "modules" / release, busybox)
