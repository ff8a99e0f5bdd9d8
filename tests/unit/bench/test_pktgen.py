"""Pktgen's scripts run against a strict mock of its documented interface; the frames that are offered
are decoded by scapy and looked up in the real table.
usage: test_pktgen.py SOURCE_FOLDER"""

import functools
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

TOP = Path(sys.argv.pop(1))
HERE = Path(__file__).resolve().parent
PKTGEN = TOP / "bench" / "pktgen"
sys.path[:0] = [str(HERE), str(PKTGEN)]
sys.dont_write_bytecode = True

import pktgen_mock  # noqa: E402
import traffic  # noqa: E402

try:
    from scapy.all import IP, UDP, Ether, IPv6, raw, rdpcap  # noqa: E402
    from scapy.layers.vxlan import VXLAN  # noqa: E402
except ImportError:
    IP = None


@functools.cache
def table(family=4):
    """Prefixes of the real table by length, to look addresses up in."""
    found = {}
    for text in traffic.frames.real_table(family):
        address, _, length = text.partition("/")
        found.setdefault(int(length), set()).add(traffic.number(address))
    return found


def covered(address, prefixes, bits=32):
    return any(address >> (bits - length) << (bits - length) in networks
               for length, networks in prefixes.items())


@unittest.skipUnless(pktgen_mock.interpreter(), "needs a Lua interpreter (package lua5.4)")
class Scripts(unittest.TestCase):
    def run_script(self, name, **settings):
        return pktgen_mock.run(PKTGEN, PKTGEN / "lua" / f"{name}.lua", settings)

    def test_there_is_a_test_for_each(self):
        scripts = {path.stem for path in (PKTGEN / "lua").glob("*.lua")} - {"wye"}
        tested = {name[len("test_"):] for name in dir(self) if name.startswith("test_")}
        self.assertEqual(scripts - tested, set())

    def assert_run(self, calls, text, seconds=60, speed=1_000_000):
        names = [name for name, _ in calls]
        self.assertLess(names.index("clr"), names.index("start"))
        self.assertLess(names.index("start"), len(names) - names[::-1].index("stop"))
        slept = sum(arguments[0] for name, arguments in calls[names.index("start"):]
                    if name == "delay")
        self.assertEqual(slept, seconds * 1000 + 2000)
        sent = seconds * speed
        self.assertIn(f"sent {sent} frames in {seconds} s, received {sent - sent // 1000}, "
                      f"lost {sent // 1000} (0.1000 %)", text)

    def test_single_flow(self):
        calls, text = self.run_script("single_flow", SIZE="1518", RATE="12.5", SECONDS="10")
        self.assert_run(calls, text, 10, 125_000)
        entries = pktgen_mock.sequence(calls)
        self.assertEqual([entry["pktSize"] for entry in entries], [1518])
        self.assertEqual(entries[0]["ip_dst_addr"], "198.19.0.10")
        self.assertIn(("set", ["0", "seq_cnt", 1]), calls)

    def test_random_destinations(self):
        calls, text = self.run_script("random_destinations")
        self.assert_run(calls, text)
        self.assert_replayed(calls)

    def test_decapsulation(self):
        calls, text = self.run_script("decapsulation", SEND_PORT="1", RECEIVE_PORT="0")
        self.assert_run(calls, text)
        self.assert_replayed(calls, "1")

    def assert_replayed(self, calls, port="0"):
        names = [name for name, _ in calls]
        switched = [place for place, name in enumerate(names) if name == "pcap"]
        self.assertEqual([calls[place][1] for place in switched], [[port, "on"], [port, "off"]])
        self.assertLess(switched[0], names.index("start"))

    def test_imix(self):
        calls, text = self.run_script("imix")
        self.assert_run(calls, text)
        entries = pktgen_mock.sequence(calls)
        self.assertIn(("set", ["0", "seq_cnt", len(entries)]), calls)
        sizes = [entry["pktSize"] for entry in entries]
        self.assertEqual(Counter(sizes), Counter(dict(traffic.IMIX)))
        self.assertEqual(sizes, traffic.imix_sizes())
        self.assertEqual(len({entry["sport"] for entry in entries}), len(entries))

    def test_latency(self):
        calls, text = self.run_script("latency", SECONDS="3")
        self.assert_run(calls, text, 3)
        self.assertEqual(text.count("500 probes, 4.5 us least, 6.2 us mean, 31.0 us most"), 3)
        switched = [arguments for name, arguments in calls if name == "latency"]
        self.assertEqual(switched, [["0", "enable"], ["1", "enable"],
                                    ["0", "disable"], ["1", "disable"]])

    def test_wrong_setting(self):
        with self.assertRaisesRegex(AssertionError, "WYE_RATE should be a number, not fast"):
            self.run_script("single_flow", RATE="fast")

    def test_the_mock_is_strict(self):
        for code, why in {
                'pktgen.strat("0")': "a function of Pktgen, not strat",
                'pktgen.start()': "start with 1 arguments, not 0",
                'pktgen.start("0", 1)': "start with 1 arguments, not 2",
                'pktgen.start("first")': "a list of ports, not first",
                'pktgen.set("0", "speed", 1)': "something that can be set, not speed",
                'pktgen.set("0", "rate", 101)': "from 0 to 100, not 101",
                'pktgen.set("0", "count", 1.5)': "a number, not 1.5",
                'pktgen.set("0", "size", 60)': "from 64 to 9618, not 60",
                'pktgen.pcap("0", true)': "on, off, enable or disable, not true",
                'pktgen.set_mac("0", "dst", "02:00:00:00:00")': "a MAC address",
                'pktgen.set_ipaddr("0", "src", "10.0.0.1")': "an IPv4 address with a length",
                'pktgen.set_ipaddr("0", "dst", "10.0.0.256")': "an IPv4 address, not",
                'pktgen.seqTable(16, "0", {})': "from 0 to 15, not 16",
                'pktgen.seqTable(0, "0", {mtu = 3})': "a key of a sequence, not mtu",
                'pktgen.seqTable(0, "0", {sport = 3})': "a sequence with ",
                'local x = pktgen.portStats("0", "port")[0].packets': "a key of ",
                'local x = pktgen.portStats("0", "port")[7]': "a key of ",
        }.items():
            with self.subTest(code), tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
                script.write(code)
                script.flush()
                with self.assertRaises(AssertionError) as caught:
                    pktgen_mock.run(PKTGEN, Path(script.name), {})
                self.assertIn(why, str(caught.exception))


@unittest.skipUnless(IP, "needs scapy (package python3-scapy)")
class Traffic(unittest.TestCase):
    """What make_traffic writes, read by scapy."""

    def made(self, *words):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "traffic.pcap"
            done = subprocess.run([PKTGEN / "make_traffic", *words[:1], path, *words[1:]],
                                  text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return [Ether(raw(frame)) for frame in rdpcap(str(path))]

    def assert_sound(self, frame, layer=IP):
        """Lengths and checksums are those that scapy would write."""
        packet = frame[layer]
        again = layer(raw(packet))
        if layer is IP:
            del again.chksum
            self.assertEqual(packet.len, len(packet))
        else:
            del again[UDP].chksum
        self.assertEqual(raw(layer(raw(again))), raw(packet))

    def test_single(self):
        (frame,) = self.made("single", "--size", "9000", "--vlan", "7",
                             "--router-mac", "02:00:00:00:00:99")
        self.assertEqual(len(frame), 9000 - 4)
        self.assertEqual((frame.dst, frame.vlan), ("02:00:00:00:00:99", 7))
        self.assert_sound(frame)

    def test_table(self):
        prefixes = table()
        frames = self.made("table", "--count", "1000")
        self.assertEqual({len(frame) for frame in frames}, {60})
        self.assertGreater(len({frame[IP].dst for frame in frames}), 990)
        for frame in frames:
            self.assert_sound(frame)
            self.assertTrue(covered(traffic.number(frame[IP].dst), prefixes), frame[IP].dst)
        self.assertFalse(covered(traffic.number("10.0.0.1"), prefixes))  # it can say no

    def test_table_six(self):
        prefixes = table(6)
        for frame in self.made("table", "--six", "--size", "128", "--count", "300"):
            self.assertEqual(len(frame), 124)
            self.assert_sound(frame, IPv6)
            self.assertTrue(covered(traffic.number(frame[IPv6].dst), prefixes, 128))

    def test_imix(self):
        frames = self.made("imix", "--count", "1200")
        self.assertEqual(Counter(len(frame) + 4 for frame in frames),
                         Counter({size: weight * 100 for size, weight in traffic.IMIX}))

    def test_tunnels(self):
        prefixes = table()
        for kind in traffic.TUNNELS:
            with self.subTest(kind):
                frames = self.made(kind, "--count", "256", "--size", "200", "--vnis", "64",
                                   "--first-vni", "70000", "--inner-mac", "02:00:00:00:00:77")
                vnis = Counter()
                for frame in frames:
                    self.assertEqual(len(frame), 196)
                    self.assert_sound(frame)
                    self.assertEqual(frame[UDP].len, len(frame[UDP]))
                    self.assertEqual(frame[UDP].chksum, 0)
                    vni, inner = self.decapsulated(kind, frame)
                    vnis[vni] += 1
                    self.assertEqual(inner.dst, "02:00:00:00:00:77")
                    self.assert_sound(inner)
                    self.assertTrue(covered(traffic.number(inner[IP].dst), prefixes))
                self.assertEqual(vnis, Counter({vni: 4 for vni in range(70000, 70064)}))
                self.assertGreater(len({frame[UDP].sport for frame in frames}), 240)

    def decapsulated(self, kind, frame):
        if kind == "vxlan":
            self.assertEqual(frame[VXLAN].flags, 8)  # the VNI is valid, nothing else
            return frame[VXLAN].vni, frame[VXLAN].payload
        payload = raw(frame[UDP].payload)
        self.assertEqual(payload[:4], bytes.fromhex("00006558"))
        return int.from_bytes(payload[4:7]), Ether(payload[8:])

    @unittest.skipUnless(shutil.which("tshark"), "needs tshark")
    def test_tshark_agrees(self):
        with tempfile.TemporaryDirectory() as folder:
            for kind, field in {"vxlan": "vxlan.vni", "geneve": "geneve.vni"}.items():
                path = Path(folder) / kind
                subprocess.run([PKTGEN / "make_traffic", kind, path, "--count", "48"], check=True,
                               stdout=subprocess.DEVNULL)
                done = subprocess.run(
                    ["tshark", "-r", path, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-e", field,
                     "-e", "ip.checksum.status", "-e", "_ws.expert.message"],
                    text=True, capture_output=True, check=True)
                lines = [line.split("\t") for line in done.stdout.splitlines()]
                self.assertEqual(len(lines), 48)
                self.assertEqual({int(vni, 0) for vni, *_ in lines}, set(range(5001, 5017)))
                self.assertEqual({tuple(rest) for _, *rest in lines}, {("1,1", "")})

    def test_impossible(self):
        for words in (("vxlan", "--size", "90"), ("single", "--size", "40"),
                      ("single", "--size", "70000"), ("single", "--router-mac", "02:00")):
            done = subprocess.run([PKTGEN / "make_traffic", words[0], "/dev/null", *words[1:]],
                                  text=True, capture_output=True)
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr.startswith("make_traffic: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
