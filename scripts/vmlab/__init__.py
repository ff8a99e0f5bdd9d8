"""The virtual lab: QEMU, Debian's kernel, the host's root read-only. See docs/virtual-lab.md."""
