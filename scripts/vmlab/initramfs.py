"""The guest's first root: busybox, the few modules that reach the host's files, and guest_init.sh.

A cpio archive in the kernel's "newc" format (Documentation/driver-api/early-userspace/
buffer-format.rst), written here so that no further package is needed.
"""

from __future__ import annotations

import stat
from pathlib import Path

from .packages import Packages

# What guest_init.sh needs before the host's files are there.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


class Archive:
    def __init__(self) -> None:
        self.bytes = bytearray()
        self.inode = 0

    def _entry(self, name: str, mode: int, data: bytes = b"") -> None:
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        self.bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        self._pad()
        self.bytes += data
        self._pad()

    def _pad(self) -> None:
        self.bytes += b"\0" * (-len(self.bytes) % 4)

    def folder(self, name: str) -> None:
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o755) -> None:
        self._entry(name, stat.S_IFREG | mode, data)

    def end(self) -> bytes:
        self._entry("TRAILER!!!", 0)
        return bytes(self.bytes)


def load_order(modules: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of these modules and of what they need, in the order in which insmod takes them."""
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        by_name[Path(path).name.split(".")[0].replace("-", "_")] = path
    order: list[str] = []

    def add(path: str) -> None:
        for needed in reversed(needs[path]):  # modules.dep names the most basic one last
            add(needed)
        if path not in order:
            order.append(path)

    for name in names:
        if name in by_name:  # else it is built in
            add(by_name[name])
    return [modules / path for path in order]


def build(packages: Packages) -> bytes:
    archive = Archive()
    for folder in ("bin", "dev", "proc", "sys", "modules", "host", "rw", "root"):
        archive.folder(folder)
    archive.file("bin/busybox", packages.busybox.read_bytes())
    names = []
    for path in load_order(packages.modules, MODULES):
        names.append(path.name)
        archive.file(f"modules/{path.name}", path.read_bytes(), 0o644)
    archive.file("modules/order", "".join(f"{name}\n" for name in names).encode(), 0o644)
    archive.file("init", (Path(__file__).parent / "guest_init.sh").read_bytes())
    return archive.end()
