"""What scripts/bench makes of its runs, and that it would notice a wrong packet.
usage: test_harness.py HARNESS_FOLDER"""

import struct
import sys
import tempfile
import unittest
from pathlib import Path

HARNESS = sys.argv.pop(1)
sys.path.insert(0, HARNESS)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import frames  # noqa: E402


class Rows(unittest.TestCase):
    def test_median_and_spread(self):
        row = figures.row_of("x", "Mpps", [10.0, 30.0, 11.0, 10.5, 10.2], 0.1)
        self.assertEqual(row.value, 10.5)  # the one outlier moves nothing
        self.assertEqual(row.runs, 5)
        self.assertAlmostEqual(row.spread, (11.0 - 10.2) / 10.5)

    def test_noise_is_not_measured(self):
        row = figures.row_of("x", "Mpps", [5.0, 10.0, 15.0, 20.0], 0.1)
        self.assertIsNone(row.value)
        self.assertIn("too noisy", row.why)

    def test_ratio_is_of_neighbouring_runs(self):
        # The machine halves its speed meanwhile: both figures are noise, the ratio is not.
        ours, theirs = [10.0, 10.0, 5.0, 5.0], [40.0, 40.0, 20.0, 20.0]
        row = figures.row_of("x", "Mpps", ours, 1.0, "peer", theirs)
        self.assertEqual(row.ratio, 0.25)
        row = figures.row_of("x", "Mpps", [10.0] * 4, 0.1, "peer", [10.0, 20.0, 30.0, 40.0])
        self.assertIsNone(row.ratio)
        self.assertIn("peer", row.why)

    def test_nothing_ran(self):
        self.assertIsNone(figures.row_of("x", "Mpps", [], 0.1).value)
        self.assertIsNone(figures.row_of("x", "Mpps", [1.0], 0.1, "peer", []).value)


def encapsulated(inner):
    """As the router must send it, written here field by field."""
    inner = inner[:22] + bytes([63]) + inner[23:24] + b"\0\0" + inner[26:]
    inner = inner[:24] + struct.pack("!H", frames.checksum(inner[14:34])) + inner[26:]
    geneve = b"\0\0\x65\x58" + frames.VNI.to_bytes(3, "big") + b"\0"
    udp = struct.pack("!HHHH", 50000, frames.GENEVE_PORT, 16 + len(inner), 0)
    outer = struct.pack("!BBHHHBBHII", 0x45, 0, 36 + len(inner), 0, 0x4000, 64, 17, 0,
                        0xC0000201, 0xC0000202)
    outer = outer[:10] + struct.pack("!H", frames.checksum(outer)) + outer[12:]
    return bytes(12) + b"\x81\x00\x00\x64\x08\x00" + outer + udp + geneve + inner


class Frames(unittest.TestCase):
    def setUp(self):
        template = frames.template()
        self.assertEqual(len(template), frames.FLOWS * frames.SIZE)
        self.frame = template[:frames.SIZE]

    def test_template_is_of_valid_packets(self):
        self.assertEqual(frames.checksum(self.frame[14:34]), 0)
        self.assertEqual(struct.unpack_from("!H", self.frame, 16)[0], frames.SIZE - 14)

    def test_bare_frame_is_noticed(self):
        frames.check_encapsulated([encapsulated(self.frame)])
        for bad in (self.frame, encapsulated(self.frame)[:-1]):
            with self.assertRaises(RuntimeError):
                frames.check_encapsulated([bad])

    def test_every_wrong_header_byte_that_is_checked_is_noticed(self):
        good = encapsulated(self.frame)
        for offset in [12, 13, 16, 17, *range(18, 38), 40, 41, 50, 51, 52, *range(68, 88)]:
            bad = bytearray(good)
            bad[offset] ^= 1
            with self.assertRaises(RuntimeError, msg=f"offset {offset}"):
                frames.check_encapsulated([bytes(bad)])

    def test_testpmd(self):
        swapped = self.frame[6:12] + self.frame[:6] + self.frame[12:]
        frames.check_unchanged([self.frame])
        frames.check_swapped([swapped])
        with self.assertRaises(RuntimeError):
            frames.check_unchanged([swapped])
        with self.assertRaises(RuntimeError):
            frames.check_swapped([self.frame])

    def test_empty_capture_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "capture"
            path.write_bytes(b"")
            with self.assertRaises(RuntimeError):
                frames.read_capture(path)
            path.write_bytes(bytes(24) + struct.pack("=IIII", 0, 0, 3, 3) + b"abc")
            self.assertEqual(frames.read_capture(path), [b"abc"])


unittest.main()
