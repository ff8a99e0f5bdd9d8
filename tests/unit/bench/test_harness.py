"""What scripts/bench makes of its runs, and that it would notice a wrong packet.
usage: test_harness.py HARNESS_FOLDER"""

import random
import struct
import sys
import tempfile
import unittest
from pathlib import Path

HARNESS = sys.argv.pop(1)
sys.path[:0] = [HARNESS, str(Path(HARNESS).parent / "pipeline")]
sys.dont_write_bytecode = True

import count_avx512  # noqa: E402
import count_instructions  # noqa: E402
import figures  # noqa: E402
import frames  # noqa: E402
import growth  # noqa: E402
import linux_kernel  # noqa: E402
import parts  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
import targets  # noqa: E402
import whole_path  # noqa: E402


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
        row = figures.row_of("x", "Mpps", ours, 0.1, "peer", theirs)
        self.assertEqual(row.ratio, 0.25)
        row = figures.row_of("x", "Mpps", [10.0] * 4, 0.1, "peer", [10.0, 20.0, 30.0, 40.0])
        self.assertIsNone(row.ratio)
        self.assertIn("peer", row.why)

    def test_nothing_ran(self):
        self.assertIsNone(figures.row_of("x", "Mpps", [], 0.1).value)
        self.assertIsNone(figures.row_of("x", "Mpps", [1.0], 0.1, "peer", []).value)


def result(ns, **counters):
    made = parts.Result()
    for run in ns:
        parts.read_entry(made, {"cpu_time": run * 32, "time_unit": "ns", **counters,
                                "items_per_second": 1e9 / run})
    return made


class Targets(unittest.TestCase):
    def target(self, **other):
        return {"name": "x", "judged": "ratio", "sense": "at_most", "must": 1.2, "goal": 0.9,
                "unit": "ns", "from": {"program": "p", "row": "a/[a-z]+", "measure": "time"}, **other}

    def test_file(self):
        loaded = targets.load()
        for target in loaded.values():
            self.assertIn(target["judged"], ("ratio", "value"))
            better = (target["goal"] >= target["must"] if target["sense"] == "at_least"
                      else target["goal"] <= target["must"])
            self.assertTrue(better, target["name"])
        names = {line.name: line for line in whole_path.LINES}
        for name, target in loaded.items():
            if "from" not in target:
                self.assertIn(name, names)  # somebody delivers it
                self.assertTrue(names[name].quick)
                self.assertEqual(target["unit"] == "ns", target["sense"] == "at_most")

    def test_judged_by_ratio_or_value(self):
        row = figures.Row("x", 5.0, "ns", ratio=1.1)
        targets.judge([row], {"x": self.target()})
        self.assertTrue(row.met)
        row.ratio = 1.3
        targets.judge([row], {"x": self.target()})
        self.assertFalse(row.met)
        targets.judge([row], {"x": self.target(judged="value", sense="at_least")})
        self.assertTrue(row.met)

    def test_not_measured_is_not_met(self):
        row = figures.Row("x", None, "ns")
        targets.judge([row], {"x": self.target()})
        self.assertIs(row.met, False)

    def test_the_worst_of_several_counts(self):
        results = {"a/one": result([10.0] * 3), "a/one/peer:them": result([10.0] * 3),
                   "a/two": result([30.0] * 3), "a/two/peer:them": result([20.0] * 3)}
        row = targets.row_from_parts(self.target(), results, 0.1)
        self.assertEqual((row.ratio, row.value, row.peer_value, row.peer), (1.5, 30.0, 20.0, "them"))
        results["a/three"] = result([1.0] * 3)  # without its peer nothing is known
        self.assertIsNone(targets.row_from_parts(self.target(), results, 0.1).value)

    def test_counters_and_what_is_missing(self):
        target = self.target(judged="value")
        target["from"] = {"program": "p", "row": "a", "measure": "bytes", "scale": 1024}
        self.assertEqual(targets.row_from_parts(target, {"a": result([1.0], bytes=4096)}, 1).value, 4)
        for results in ({"a": result([1.0])}, {}, None):
            row = targets.row_from_parts(target, results, 1)
            self.assertIsNone(row.value)
            self.assertTrue(row.why)


def paired(ours, theirs):
    made = parts.Result()
    for ns, peer_ns in zip(ours, theirs):
        parts.read_entry(made, {"cpu_time": 1.0, "time_unit": "ms", "ns": ns, "peer_ns": peer_ns})
    return made


class Pairs(unittest.TestCase):
    TARGET = {"name": "x", "judged": "ratio", "sense": "at_most", "must": 1.2, "goal": 0.9,
              "unit": "ns", "from": {"program": "p", "row": "a/[a-z]+", "measure": "time"}}

    def test_the_ratios_are_judged_and_not_the_runs(self):
        results = {"a/b": result([7.0] * 3),
                   "a/b/pairs:them": paired([5.0, 10.0, 20.0], [10.0, 20.0, 40.0])}
        row = targets.row_from_parts(self.TARGET, results, 0.1)
        self.assertEqual((row.name, row.ratio, row.value, row.peer), ("x", 0.5, 10.0, "them"))
        results["a/b/pairs:them"] = paired([5.0, 10.0, 20.0], [10.0, 10.0, 10.0])
        self.assertIn("the ratio to them", targets.row_from_parts(self.TARGET, results, 0.1).why)

    def test_a_peer_that_fails_is_not_measured(self):
        broken = parts.Result(error="it does not start")
        row = targets.row_from_parts(self.TARGET, {"a/b": result([7.0] * 3),
                                                   "a/b/pairs:them": broken}, 0.1)
        self.assertEqual((row.value, row.why), (None, "it does not start"))

    def test_noisy_ones_are_repeated_and_only_these(self):
        asked = []

        def repeat(_command, names, *_):
            asked.append(names)
        results = {"a/pairs:x": paired([1.0, 1.0], [1.0, 1.0]),
                   "b/pairs:x": paired([1.0, 9.0], [1.0, 1.0])}
        real, parts.repeat = parts.repeat, repeat
        try:
            parts.repeat_pairs([], list(results), 2, 0.1, results)
        finally:
            parts.repeat = real
        self.assertEqual(asked, [["a/pairs:x", "b/pairs:x"]] + [["b/pairs:x"]] * 2)

    def test_names_are_taken_literally(self):
        self.assertEqual(parts.exactly(["a/4", "b+(c)"]), r"^(a/4|b\+\(c\))$")

    def test_whole_path_goes_on_while_it_is_noisy(self):
        line = whole_path.Line("path-x", "wye", (0, 1), "peer")
        arguments = type("", (), {"quick": True, "noise": 0.1})

        def turns_of(values):
            def take(_line, _bench, _makers, results, rounds, _seconds):
                for _ in range(rounds):
                    results[0].append(next(values))
                    results[1].append(1.0)
            return take
        real = whole_path.take_turns
        try:
            for values, runs, good in (([1.0] * 3, 3, True), ([5.0, 1.0, 9.0] + [5.0] * 3, 6, True),
                                       ([1.0, 5.0, 9.0] * 3, 9, False)):
                whole_path.take_turns = turns_of(iter(values))
                row = whole_path.measure_line(line, None, None, arguments)
                self.assertEqual((row.runs, row.value is not None), (runs, good))
        finally:
            whole_path.take_turns = real


class Avx512(unittest.TestCase):
    OBJDUMP = """
match.cc.o:     file format elf64-x86-64

Disassembly of section .text:

0000000000000000 <void wye::table::(anonymous namespace)::match<wye::table::(anonymous namespace)::Simd, 6ul>(wye::table::ArenaView, unsigned long)>:
   0:\tpush   %rbp
   1:\tvpxorq %zmm0,%zmm1,%zmm2
   7:\tret

0000000000000010 <wye::table::look_up(unsigned int) [clone .cold]>:
  10:\tkmovw  %k1,%eax

0000000000000020 <wye::table::scalar()>:
  20:\tret
"""

    def test_functions_that_use_it_are_counted(self):
        counted = count_avx512.read_objdump(self.OBJDUMP)
        self.assertEqual(counted, {"match": {"match<Simd, 6ul>": 3, "look_up [clone .cold]": 1}})

    def test_growth_is_named(self):
        grown = count_instructions.compare({"match": {"a": 100, "b": 20, "c": 100}},
                                           {"match": {"a": 106, "b": 23, "c": 90, "d": 30}}, 4, "instructions")
        self.assertEqual(grown, ["match: a has grown from 100 to 106 instructions",
                                 "match: d has grown from 0.0 to 30 instructions"])


class Growth(unittest.TestCase):
    def test_caches_are_crossed_where_the_working_set_outgrows_them(self):
        axis = growth.Axis("x", (1, 1000), lambda count: 64 * count, "a line each")
        self.assertEqual(growth.crossing(axis, 64 * 100), 101)
        self.assertIsNone(growth.crossing(axis, 64 * 1000))
        self.assertEqual(growth.crossing(axis, 1), 1)

    def test_each_axis_has_its_lines(self):
        names = [line.name for line in whole_path.LINES if whole_path.is_growth(line)]
        for family, axis in growth.AXES.items():
            ends = {int(name.rpartition("/")[2]) for name in names if name.startswith(f"growth/{family}/")}
            self.assertEqual(ends, set(axis.points))


class Linux(unittest.TestCase):
    def test_routes_are_spread_over_the_next_hops_as_ours_are(self):
        lines = list(linux_kernel.commands(["10.0.0.0/8", "192.0.2.0/24"]))
        self.assertEqual(lines[-2:], ["route add 10.0.0.0/8 nhid 1", "route add 192.0.2.0/24 nhid 178"])
        self.assertIn("nexthop add id 178 via 169.254.1.177 dev out", lines)
        self.assertIn("link add in address 02:00:00:00:00:01 type ifb", lines)


class Report(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.page = Path(self.folder.name) / "page.md"
        rows = [figures.Row("path-a-64k", 20.0, "Mpps", 0.01, 7, "l3fwd fib", 40.0, 0.5),
                figures.Row("path-b-vxlan-4k", None, "Mpps", why="no peer"),
                figures.Row("growth/flows/path-a/64", 10.0, "ns", 0.01, 7)]
        targets.judge(rows, targets.load())
        self.document = {"machine": figures.machine(), "quick": False,
                         "rows": [row.as_json() for row in rows]}

    def tearDown(self):
        self.folder.cleanup()

    def test_only_what_is_between_the_marks_is_written(self):
        text = "by hand\n<!-- bench:whole-path -->\nold\n<!-- bench:end -->\nby hand too\n"
        self.page.write_text(text)
        for _ in range(2):
            report.write(self.document, {"whole-path": [Path("plots/x.svg")]}, self.page)
            written = self.page.read_text()
            self.assertTrue(written.startswith("by hand\n<!-- bench:whole-path -->\n| row |"))
            self.assertTrue(written.endswith("![x](plots/x.svg)\n<!-- bench:end -->\nby hand too\n"))
            self.assertNotIn("old", written)
            self.assertEqual(written.count("| path-a-64k |"), 1)
            self.assertIn("| 20 Mpps | l3fwd fib 40 | 0.5 | ≥ 0.8 × | ≥ 1 × | **not met** |", written)
            self.assertIn("not measured: no peer", written)
            self.assertIn("not measured: not in this run", written)

    def test_the_page_has_a_place_for_each_section(self):
        marked = set(match[2] for match in report.SECTION.finditer(report.PAGE.read_text()))
        sections = {target["section"] for target in targets.load().values()}
        self.assertEqual(marked, sections | {"growth", "machine"})

    def test_a_later_file_adds_rows_and_replaces_those_of_the_same_name(self):
        again = {**self.document, "rows": [figures.Row("path-a-64k", 30.0, "Mpps").as_json(),
                                           figures.Row("growth/flows/path-a/65", 12.0, "ns").as_json()]}
        both = report.merged([self.document, again])
        values = {row["name"]: row["value"] for row in both["rows"]}
        self.assertEqual(values, {"path-a-64k": 30.0, "path-b-vxlan-4k": None,
                                  "growth/flows/path-a/64": 10.0, "growth/flows/path-a/65": 12.0})
        self.assertIn("| 65 | 12 |", "\n".join(report.render("growth", both, {})))

    def test_growth_is_sorted_into_lines(self):
        rows = [figures.Row(**row) for row in self.document["rows"]]
        self.assertEqual(plots.growth_series(rows), {"flows": {"path-a": [(64, 10.0)]}})


def encapsulated(inner, kind):
    """As the router must send it, written here field by field."""
    inner = lower_ttl(inner)
    tunnel = (b"\0\0\x65\x58" if kind == "geneve" else b"\x08\0\0\0") + frames.VNI.to_bytes(3) + b"\0"
    udp = struct.pack("!HHHH", 50000, frames.PORTS[kind], 16 + len(inner), 0)
    outer = struct.pack("!BBHHHBBHII", 0x45, 0, 36 + len(inner), 0, 0x4000, 64, 17, 0,
                        0xC0000201, 0xC0000202)
    outer = outer[:10] + struct.pack("!H", frames.checksum(outer)) + outer[12:]
    return bytes(12) + b"\x81\x00\x00\x64\x08\x00" + outer + udp + tunnel + inner


def lower_ttl(frame):
    frame = frame[:22] + bytes([63]) + frame[23:24] + b"\0\0" + frame[26:]
    return frame[:24] + struct.pack("!H", frames.checksum(frame[14:34])) + frame[26:]


class Frames(unittest.TestCase):
    def setUp(self):
        self.frame = frames.flows4([0x0A000001])
        self.assertEqual(len(self.frame), frames.SIZE)

    def refuses(self, check, packet, message=None):
        with self.assertRaises(RuntimeError, msg=message):
            check([packet])

    def test_addresses_lie_in_their_prefixes_and_are_seeded(self):
        prefixes = ["10.1.0.0/16", "192.0.2.7/32", "128.0.0.0/1"]
        chosen = frames.choose_addresses(prefixes, 200)
        self.assertEqual(chosen, frames.choose_addresses(prefixes, 200))
        self.assertTrue(all(a >> 16 == 0x0A01 or a == 0xC0000207 or a >> 31 == 1 for a in chosen))
        self.assertGreater(len(set(chosen)), 100)
        self.assertEqual(frames.choose_addresses(["2001:db8::/32"], 1)[0] >> 96, 0x20010DB8)

    def test_templates_are_of_valid_packets(self):
        def rfc1071(header):
            total = sum(struct.unpack(f"!{len(header) // 2}H", header))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            return ~total & 0xFFFF
        chooser = random.Random(9)
        for _ in range(1000):
            header = chooser.randbytes(20)
            self.assertEqual(frames.checksum(header), rfc1071(header))
        self.assertEqual(frames.checksum(self.frame[14:34]), 0)
        self.assertEqual(struct.unpack_from("!H", self.frame, 16)[0], frames.SIZE - 14)
        six = frames.flows6([1 << 120])
        self.assertEqual(len(six), frames.SIZE)
        self.assertEqual(rfc1071(six[22:54] + struct.pack("!IHBB", 10, 0, 0, 17) + six[54:]), 0)
        self.assertEqual(len(frames.tunnelled("vxlan", [1, 2])), 256)
        tagged = frames.tenants(4096, 4096, 50)
        self.assertEqual({tagged[i:i + 2] for i in range(12, len(tagged), 64)}, {b"\x81\x00"})
        sizes = frames.of_sizes([64, 1518], [1], 2)
        self.assertEqual(len(sizes), (4 + 4096) * 64)
        self.assertEqual(struct.unpack_from("!H", sizes, 2 * 64 + 16)[0], 1514 - 14)

    def test_bare_frame_is_noticed(self):
        for kind in ("geneve", "vxlan"):
            good = encapsulated(self.frame, kind)
            frames.check_encapsulated([good], kind)
            for bad in (self.frame, good[:-1]):
                with self.assertRaises(RuntimeError):
                    frames.check_encapsulated([bad], kind)

    def test_every_wrong_header_byte_that_is_checked_is_noticed(self):
        good = encapsulated(self.frame, "geneve")
        for offset in [12, 13, 14, 15, 16, 17, *range(18, 38), 40, 41, 50, 51, 52, *range(66, 88)]:
            bad = bytearray(good)
            bad[offset] ^= 1
            self.refuses(frames.check_encapsulated, bytes(bad), f"offset {offset}")

    def test_routed(self):
        moved = frames.NEXT_MAC + frames.ROUTER_MAC + self.frame[12:]
        good = lower_ttl(moved)
        frames.check_routed([good])
        frames.check_addressed([good])
        frames.check_decapsulated([good[:12] + b"\x81\x00\x00\x0a" + good[12:]])
        for bad in (self.frame, moved, good[:12] + b"\x81\x00\x00\x0b" + good[12:]):
            self.refuses(frames.check_routed, bad)
            self.refuses(frames.check_decapsulated, bad)
        self.refuses(frames.check_unchanged, good)
        frames.check_unchanged([self.frame])

    def test_empty_capture_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "capture"
            path.write_bytes(b"")
            with self.assertRaises(RuntimeError):
                frames.read_capture(path)
            path.write_bytes(bytes(24) + struct.pack("=IIII", 0, 0, 3, 3) + b"abc")
            self.assertEqual(frames.read_capture(path), [b"abc"])


unittest.main()
