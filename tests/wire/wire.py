"""What the wire tests share: the judges (scapy, tshark), or exit code 77 with what is missing."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

SKIPPED = 77


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def need_judges():
    """tshark in PATH and scapy importable by this Python; else the test is skipped."""
    if shutil.which("tshark") is None:
        skip("needs tshark (Debian package tshark)")
    try:
        import scapy.all  # noqa: F401
    except ImportError:
        skip("needs scapy for %s (Debian package python3-scapy)" % sys.executable)


class Checks:
    """Counts what was checked and says what was wrong; at most 20 complaints are printed."""

    def __init__(self):
        self.done = 0
        self.failed = 0

    def equal(self, what, got, wanted):
        self.done += 1
        if got == wanted:
            return
        self.failed += 1
        if self.failed <= 20:
            print("FAILED %s: got %r, wanted %r" % (what, got, wanted))

    def finish(self):
        print("%d checks, %d failed" % (self.done, self.failed))
        sys.exit(1 if self.failed or not self.done else 0)


def run_tool(tool, lines):
    """The answers of tests/wire/tunnel_tool to these lines, one each."""
    result = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE,
                            universal_newlines=True, check=True)
    answers = result.stdout.splitlines()
    assert len(answers) == len(lines), "one answer a line"
    return answers


def write_pcap(path, packets, link_type):
    """Classic pcap, written here rather than by a library that would parse the packets."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type))
        for number, packet in enumerate(packets):
            file.write(struct.pack("<IIII", number, 0, len(packet), len(packet)))
            file.write(packet)


LINK_RAW_IP = 101


def tshark(packets, fields, options=(), link_type=LINK_RAW_IP):
    """A list for each packet: {field: [values, outermost first]} as tshark decodes it."""
    with tempfile.TemporaryDirectory(prefix="wye-wire-") as folder:
        path = os.path.join(folder, "frames.pcap")
        write_pcap(path, packets, link_type)
        command = ["tshark", "-r", path, "-n", "-T", "json",
                   "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
                   "-o", "tcp.check_checksum:TRUE"]
        for option in options:
            command += option
        for field in fields:
            command += ["-e", field]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                universal_newlines=True, check=False)
        if result.returncode != 0:
            print(result.stderr)
            raise SystemExit("tshark failed")
        return [entry["_source"]["layers"] for entry in json.loads(result.stdout)]
