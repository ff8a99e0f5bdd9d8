"""TRex's profiles against a strict mock of its documented interface; scapy reads the frames that a
stream's template and its field engine make.
usage: test_trex.py SOURCE_FOLDER"""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

TOP = Path(sys.argv.pop(1))
PKTGEN = TOP / "bench" / "pktgen"
sys.path[:0] = [str(Path(__file__).resolve().parent), str(PKTGEN)]
sys.dont_write_bytecode = True

import traffic  # noqa: E402

try:
    import trex_mock  # noqa: E402
    from scapy.all import IP, UDP, Dot1Q, Ether, raw  # noqa: E402
except ImportError:
    trex_mock = None


@unittest.skipUnless(trex_mock, "needs scapy (package python3-scapy)")
class Profiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        trex_mock.install(PKTGEN / "api" / "trex-stl.json")
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = str(Path(cls.folder.name) / "destinations.txt")
        subprocess.run([PKTGEN / "make_traffic", "addresses", cls.file, "--count", "200"], check=True,
                       stdout=subprocess.DEVNULL)
        cls.addresses = set(Path(cls.file).read_text().split())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def streams(self, name, *words, **keywords):
        where = PKTGEN / "trex" / f"{name}.py"
        specification = importlib.util.spec_from_file_location(f"profile_{name}", where)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module.register().get_streams(direction=0, tunables=list(words), port_id=0, **keywords)

    def frames(self, stream, count=300):
        made = [Ether(frame) for frame in trex_mock.frames_of(stream, count)]
        for frame in made:
            self.assert_sound(frame)
        return made

    def assert_sound(self, frame):
        packet = frame[IP]
        self.assertEqual(packet.len, len(packet))
        self.assertEqual(frame[UDP].len, len(packet) - 20)
        again = IP(raw(packet))
        del again.chksum
        self.assertEqual(raw(IP(raw(again))), raw(packet))

    def test_there_is_a_test_for_each(self):
        profiles = {path.stem for path in (PKTGEN / "trex").glob("*.py")} - {"common"}
        tested = {name[len("test_"):] for name in dir(self) if name.startswith("test_")}
        self.assertEqual(profiles - tested, set())

    def test_single_flow(self):
        (stream,) = self.streams("single_flow", "--size", "1518", "--vlan", "7")
        frames = self.frames(stream, 3)
        self.assertEqual({(len(frame), frame[Dot1Q].vlan, frame[IP].dst, frame[UDP].sport)
                          for frame in frames}, {(1514, 7, "198.19.0.10", 1024)})

    def test_tunables_as_keywords(self):
        (stream,) = self.streams("single_flow", size=128, router_mac="02:00:00:00:00:55")
        (frame,) = self.frames(stream, 1)
        self.assertEqual((len(frame), frame.dst), (124, "02:00:00:00:00:55"))

    def test_random_destinations(self):
        (stream,) = self.streams("random_destinations", "--destinations", self.file)
        frames = self.frames(stream, 1500)
        self.assertEqual({len(frame) for frame in frames}, {60})
        self.assertEqual({frame[IP].dst for frame in frames}, self.addresses)
        self.assertGreater(len({frame[UDP].sport for frame in frames}), 1400)

    def test_imix(self):
        streams = self.streams("imix", "--destinations", self.file)
        weights = Counter({len(self.frames(stream, 1)[0]) + 4: int(stream.mode.pps)
                           for stream in streams})
        self.assertEqual(weights, Counter(dict(traffic.IMIX)))
        for stream in streams:
            self.assertLessEqual({frame[IP].dst for frame in self.frames(stream)}, self.addresses)

    def test_latency(self):
        load, probes = self.streams("latency", "--probes", "500")
        self.assertEqual(len(self.frames(load, 1)[0]), 60)
        self.assertEqual((probes.mode.pps, probes.flow_stats.pg_id), (500, 7))
        (frame,) = self.frames(probes, 1)
        self.assertGreaterEqual(len(frame[UDP].payload), 16)

    def test_decapsulation(self):
        for kind, port in {"vxlan": 4789, "geneve": 6081}.items():
            with self.subTest(kind):
                (stream,) = self.streams("decapsulation", "--destinations", self.file, "--kind", kind,
                                         "--vnis", "20", "--first-vni", "16777000", "--size", "256",
                                         "--inner-mac", "02:00:00:00:00:77")
                vnis, inners = Counter(), []
                for frame in self.frames(stream, 600):
                    self.assertEqual((len(frame), frame[UDP].dport), (252, port))
                    payload = raw(frame[UDP].payload)
                    self.assertEqual(payload[:4].hex(), "08000000" if kind == "vxlan" else "00006558")
                    self.assertEqual(payload[7], 0)
                    vnis[int.from_bytes(payload[4:7])] += 1
                    inners.append(Ether(payload[8:]))
                self.assertEqual(set(vnis), set(range(16777000, 16777020)))
                for inner in inners:
                    self.assert_sound(inner)
                self.assertGreater(len({inner[IP].dst for inner in inners}), 180)
                self.assertLessEqual({inner[IP].dst for inner in inners}, self.addresses)
                self.assertEqual({inner.dst for inner in inners}, {"02:00:00:00:00:77"})

    def test_what_is_missing_is_said(self):
        with self.assertRaisesRegex(ValueError, "--destinations FILE is needed"):
            self.streams("imix")
        with self.assertRaisesRegex(ValueError, "bytes at least"):
            self.streams("decapsulation", "--destinations", self.file, "--size", "90")

    def test_the_mock_is_strict(self):
        api = sys.modules["trex_stl_lib.api"]
        for make, why in {
                lambda: api.STLVmFlowVar("a", op="rand"): "should be",
                lambda: api.STLVmFlowVar(size=4): "needs name",
                lambda: api.STLVmFlowVar("a", size=3): "should be",
                lambda: api.STLTXCont(): "needs one of",
                lambda: api.STLTXCont(pps=1, percentage=3): "needs one of",
                lambda: api.STLStream(pkt=None): "has no parameter pkt",
                lambda: api.STLPktBuilder(pkt=b"123"): "should be packet"}.items():
            with self.subTest(why), self.assertRaisesRegex(trex_mock.Refused, why):
                make()


if __name__ == "__main__":
    unittest.main()
