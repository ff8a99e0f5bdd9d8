"""What is on the wire between the PoPs, as tshark decodes it."""

from __future__ import annotations

import subprocess
import time

from .places import Lab, LabError

FIELDS = ["frame.protocols", "eth.type", "ip.version", "ipv6.version", "udp.dstport",
          "udp.srcport", "udp.checksum.status", "ip.checksum.status", "vxlan.vni", "vxlan.flags",
          "geneve.vni", "geneve.version", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
          "_ws.malformed"]


class Capture:
    """tshark on one interface of a place; decoded only when it has stopped."""

    def __init__(self, lab: Lab, place: str, interface: str, filter_: str = "udp") -> None:
        self.lab = lab
        self.file = f"/run/wye/capture-{place}-{interface}.pcapng"
        self.process = lab.spawn(place, "dumpcap", "-q", "-i", interface, "-f", filter_,
                                 "-w", self.file, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        if "Capturing" not in line:
            raise LabError(f"dumpcap on {interface} at {place} does not start: {line.strip()}")
        time.sleep(0.3)

    def stop(self) -> list[dict[str, list[str]]]:
        """One dictionary a frame: field → all its values, outermost first."""
        from .traffic import end_child

        time.sleep(0.3)
        end_child(self.process)
        self.process.communicate(timeout=10)
        words = ["tshark", "-r", self.file, "-n", "-T", "fields", "-E", "separator=|",
                 "-E", "aggregator=,", "-o", "ip.check_checksum:TRUE",
                 "-o", "udp.check_checksum:TRUE"]
        for field in FIELDS:
            words += ["-e", field]
        out = self.lab.run("lab", *words, timeout=60).stdout
        frames = []
        for line in out.splitlines():
            values = line.split("|")
            frames.append({field: value.split(",") if value else []
                           for field, value in zip(FIELDS, values)})
        return frames
