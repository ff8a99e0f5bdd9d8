"""The searches of RFC 2544 against simulated routers, whose answers are known; the generators' drivers
against mocks.
usage: test_rfc2544.py SOURCE_FOLDER"""

import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import types
import unittest
from pathlib import Path

TOP = Path(sys.argv.pop(1))
sys.path[:0] = [str(Path(__file__).resolve().parent), str(TOP / "bench" / "rfc2544"),
                str(TOP / "bench" / "pktgen")]
sys.dont_write_bytecode = True

import generators  # noqa: E402
import measure  # noqa: E402
import pktgen_mock  # noqa: E402
import written  # noqa: E402

try:
    import trex_mock  # noqa: E402
except ImportError:
    trex_mock = None


class Router:
    """Forwards `rate` frames a second and buffers `queue`; loses otherwise by chance, at a start, in
    bursts. Each run is a trial; its losses are drawn anew, as noise is."""

    def __init__(self, rate=1e12, queue=0, chance=0.0, rarely=0.0, start=0, disturbed=0, seed=1):
        self.rate, self.queue, self.chance, self.rarely = rate, queue, chance, rarely
        self.start, self.disturbed = start, disturbed
        self.chooser = random.Random(seed)
        self.runs, self.time = [], 0.0

    def run(self, rate, frames, settle):
        self.runs.append((rate, frames))
        seconds = frames / rate
        self.time += seconds + settle
        passed = min(frames, self.queue + int(self.rate * seconds))
        lost = frames - passed
        if self.chance:  # many frames: nearly normal
            spread = (passed * self.chance * (1 - self.chance)) ** 0.5
            lost += max(0, round(self.chooser.gauss(passed * self.chance, spread)))
        if self.chooser.random() < self.rarely:
            lost += 1
        lost += self.start
        self.start = 0
        disturbed = ""
        if self.disturbed > 0:
            self.disturbed -= 1
            lost, disturbed = frames // 2, "others had the processor"
        return measure.Trial(rate, seconds, frames, frames - min(lost, frames), disturbed,
                             {"count": frames, "min": 1.0, "mean": 2.0 + rate / self.rate, "p50": 2.0,
                              "p90": 3.0, "p99": 4.0, "p99_9": 5.0, "max": 9.0})


def bench(router, maximum=10e6, **more):
    settings = {"seconds": 1.0, "verify_seconds": 2.0, "verify": 2, "settle": 0.1,
                "pause": 0, **more}
    return measure.Bench(router, measure.Plan(maximum, **settings))


class Throughput(unittest.TestCase):
    def test_finds_the_rate_within_its_resolution(self):
        for rate in (12_345, 1_000_000, 3_141_592, 9_999_000):
            for resolution in (0.01, 0.001, 0.0001):
                with self.subTest(rate=rate, resolution=resolution):
                    tested = bench(Router(rate), resolution=resolution, minimum=1000)
                    found = measure.throughput(tested, 0).rate
                    self.assertLessEqual(found, rate + 1)
                    self.assertGreaterEqual(found, rate - resolution * 10e6 - 1)

    def test_few_trials(self):
        router = Router(3e6)
        measure.throughput(bench(router, resolution=0.001), 0)
        self.assertLessEqual(len(router.runs), 1 + 10 + 2 + 2)

    def test_one_that_never_loses(self):
        router = Router()
        self.assertEqual(measure.throughput(bench(router), 0).rate, 10e6)
        self.assertEqual(len(router.runs), 1 + 2)

    def test_one_that_always_loses(self):
        found = measure.throughput(bench(Router(chance=0.01)), 0)
        self.assertIsNone(found.rate)
        self.assertIn("even at 10,000 frames/s", found.why)

    def test_partial_drop_rate(self):
        # Of a load L a router of rate R loses 1 - R/L: with at most 1 % at L = R / 0.99.
        found = measure.throughput(bench(Router(5e6)), 0.01).rate
        self.assertAlmostEqual(found, 5e6 / 0.99, delta=10e6 * 0.001 + 1)
        # A chance below the ratio is no obstacle; one above it is at every rate.
        self.assertEqual(measure.throughput(bench(Router(chance=0.004)), 0.005).rate, 10e6)
        self.assertIsNone(measure.throughput(bench(Router(chance=0.006)), 0.005).rate)

    def test_one_that_loses_rarely(self):
        """A frame in some trials, at any rate: nothing is confirmed, or it is what was confirmed."""
        given = []
        for seed in range(60):
            router = Router(4e6, rarely=0.3, seed=seed)
            found = measure.throughput(bench(router, verify=5), 0)
            if found.rate is not None:
                self.assertLessEqual(found.rate, 4e6 + 1)
                self.assertEqual([trial.lost for trial in found.trials[-5:]], [0] * 5)
            else:
                given.append(found.why)
        self.assertTrue(any("now and then" in why for why in given), given)
        self.assertLess(sum("now and then" in why for why in given), 60)
        # Who allows for it finds the rate.
        near = [measure.throughput(bench(Router(4e6, rarely=0.3, seed=seed), trials=5, forgiven=3,
                                         verify=5), 0).rate for seed in range(60)]
        self.assertGreater(sum(rate is not None and rate > 3.98e6 for rate in near), 45)
        # And by the partial drop rate it is nothing.
        for seed in range(20):
            found = measure.throughput(bench(Router(4e6, rarely=0.3, seed=seed)), 1e-5).rate
            self.assertAlmostEqual(found, 4e6, delta=10e6 * 0.001 + 50)

    def test_loss_at_the_start(self):
        without = bench(Router(4e6, start=3), warm_up=0)
        self.assertGreater(measure.throughput(without, 0).rate, 3.98e6)  # only the first trial has it
        never = bench(Router(start=3))
        self.assertEqual(never.warm_up().lost, 3)
        self.assertEqual(measure.throughput(never, 0).rate, 10e6)

    def test_disturbed_trials_are_repeated_and_counted(self):
        tested = bench(Router(4e6, disturbed=5))
        self.assertGreater(measure.throughput(tested, 0).rate, 3.98e6)
        self.assertEqual(tested.repeated, 5)
        with self.assertRaisesRegex(measure.Disturbed, "others had the processor"):
            measure.throughput(bench(Router(disturbed=100)), 0)

    def test_spread_of_repeats(self):
        (row,) = measure.throughputs(bench(Router(4e6), repeats=3), [0])
        self.assertEqual(len(row["searches"]), 3)
        self.assertEqual(row["least"], row["most"])
        (row,) = measure.throughputs(bench(Router(chance=0.1), repeats=2), [0])
        self.assertIsNone(row["median"])

    def test_more_loss_never_means_a_lower_rate(self):
        """Whatever the noise, the plan and the order of the ratios; and each search is as right as one of
        its own: it ends with trials that lose no more than it allows."""
        chooser = random.Random(7)
        found_both = 0
        for seed in range(400):
            router = Router(chooser.uniform(1e6, 12e6), chance=chooser.choice([0, 1e-8, 1e-6, 2e-4]),
                            rarely=chooser.choice([0, 0.2, 0.5]), start=chooser.choice([0, 3]), seed=seed)
            trials, forgiven, verify = chooser.choice([(1, 0, 0), (1, 0, 1), (1, 0, 3), (3, 1, 3)])
            tested = bench(router, repeats=chooser.choice([1, 3]), trials=trials, forgiven=forgiven,
                           verify=verify, resolution=0.01)
            rows = measure.throughputs(tested, [0.001, 0.0, 0.0001])
            self.assertEqual([row["ratio"] for row in rows], [0.0, 0.0001, 0.001])
            for lower, higher in zip(rows, rows[1:]):
                for less, more in zip(lower["searches"], higher["searches"]):
                    if less["rate"] is not None:
                        self.assertIsNotNone(more["rate"], seed)
                        self.assertGreaterEqual(more["rate"], less["rate"], seed)
                        found_both += 1
                    allowed = [trial for trial in more["trials"] if trial["rate"] == more["rate"]
                               and trial["loss"] <= higher["ratio"]]
                    self.assertTrue(allowed or more["rate"] is None, seed)
                if lower["median"] is not None:
                    self.assertGreaterEqual(higher["median"], lower["median"], seed)
        self.assertGreater(found_both, 300)

    def test_what_was_measured_is_not_measured_again(self):
        router = Router(3e6)
        tested = bench(router, resolution=0.001)
        measure.throughputs(tested, [0.0])
        once = len(router.runs)
        router.runs.clear()
        measure.throughputs(tested, [0.0, 0.001])
        self.assertLess(len(router.runs), once + 8)
        # But for the two that confirm what both find, no rate twice.
        self.assertEqual(len(set(router.runs)), len(router.runs) - 1)

    def test_repeats_are_searches_of_their_own(self):
        router = Router(4e6)
        measure.throughputs(bench(router), [0.0])
        once = len(router.runs)
        measure.throughputs(bench(router, repeats=3), [0.0])
        self.assertEqual(len(router.runs), 4 * once)


class Others(unittest.TestCase):
    def test_loss_rates(self):
        rows = measure.loss_rates(bench(Router(6.5e6)))
        self.assertEqual([round(row["rate"] / 1e6) for row in rows], [10, 9, 8, 7, 6, 5])
        for row in rows:
            self.assertAlmostEqual(row["loss"], max(0, 1 - 6.5e6 / row["rate"]), places=4)

    def test_loss_rates_of_one_that_always_loses(self):
        rows = measure.loss_rates(bench(Router(chance=0.02)))
        self.assertEqual(len(rows), 10)
        for row in rows:
            self.assertAlmostEqual(row["loss"], 0.02, delta=0.001)

    def test_back_to_back(self):
        # A queue of 1000 that is emptied at 6 of 10 Mpps takes bursts of 2500.
        tested = bench(Router(6e6, queue=1000), burst_repeats=5, resolution=0.001)
        row = measure.back_to_back(tested, 6e6)
        self.assertAlmostEqual(row["mean"], 2500, delta=4)
        self.assertAlmostEqual(row["corrected_seconds"], 1000 / 10e6, delta=1e-6)
        self.assertEqual(row["deviation"], 0)

    def test_back_to_back_without_a_limit(self):
        row = measure.back_to_back(bench(Router(), burst_repeats=2), 10e6)
        self.assertEqual((row["mean"], row["unlimited"], row["corrected_seconds"]), (20e6, 2, None))
        row = measure.back_to_back(bench(Router(rate=1), burst_repeats=1), None)
        self.assertEqual(row["mean"], 0)

    def test_latency(self):
        rows = measure.latency(bench(Router(4e6), latency_repeats=3), 4e6)
        self.assertEqual([row["fraction"] for row in rows], [0.1, 0.5, 0.9, 1.0])
        self.assertEqual([round(row["mean"], 1) for row in rows], [2.1, 2.5, 2.9, 3.0])
        self.assertTrue(all(row["repeats"] == 3 and row["loss"] == 0 for row in rows))

    def test_line_rate(self):
        self.assertAlmostEqual(measure.line_rate(10_000, 64), 14_880_952, delta=1)
        self.assertAlmostEqual(measure.line_rate(1000, 1518), 81_274, delta=1)

    def test_the_estimate_is_near(self):
        router = Router(3e6)
        tested = bench(router, resolution=0.001, repeats=2)
        count, seconds = measure.trials_of(tested.plan, {"throughput"}, [0.0])
        measure.throughputs(tested, [0.0])
        self.assertAlmostEqual(count, len(router.runs), delta=6)
        self.assertAlmostEqual(seconds, router.time, delta=router.time / 3)


class Listener:
    """A Pktgen that listens: what comes by the socket goes to the mock, and what that prints back."""

    def __init__(self, folder):
        command = pktgen_mock.command(TOP / "bench" / "pktgen", folder)
        self.lua = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.server.accept()
        threading.Thread(target=self.answer, args=(connection,), daemon=True).start()
        while more := connection.recv(4096):
            self.lua.stdin.write(more)
            self.lua.stdin.flush()
        self.lua.stdin.close()

    def answer(self, connection):
        with connection:
            while more := self.lua.stdout.read1(4096):
                connection.sendall(more)

    def end(self):
        self.server.close()
        self.lua.wait(10)
        self.lua.stdout.close()


@unittest.skipUnless(pktgen_mock.interpreter(), "needs a Lua interpreter (package lua5.4)")
class Pktgen(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.listener = Listener(Path(self.folder.name))
        self.generator = generators.Pktgen("127.0.0.1", self.listener.port, mbits=1000, timeout=10)

    def tearDown(self):
        self.generator.close()
        self.listener.end()
        self.folder.cleanup()

    def calls(self, name):
        return [arguments for called, arguments in
                pktgen_mock.read_calls(Path(self.folder.name)) if called == name]

    def test_a_trial(self):
        self.generator.offer(512)
        rate = measure.line_rate(1000, 512) / 4
        found = self.generator.run(rate, 5000, 0)
        self.assertEqual((found.sent, found.received, found.disturbed), (5000, 4995, ""))
        self.generator.close()
        self.listener.lua.wait(10)
        self.assertIn(["0", "rate", 25], self.calls("set"))
        self.assertIn(["0", "count", 5000], self.calls("set"))
        (entry,) = self.calls("seqTable")
        self.assertEqual(entry[2]["pktSize"], 512)
        self.generator = generators.Pktgen.__new__(generators.Pktgen)
        self.generator.close = lambda: None

    def test_counters(self):
        self.generator.lua('pktgen.start("0"); pktgen.delay(2000); pktgen.stop("0")')
        self.assertEqual(self.generator.counter("0", "opackets"), 2_000_000)
        self.assertEqual(self.generator.counter("1", "ipackets"), 1_998_000)

    def test_what_it_refuses_is_said(self):
        with self.assertRaisesRegex(generators.Failed, "a number from|from 0 to 100|set, argument 3"):
            self.generator.lua('pktgen.set("0", "rate", 101)')
        self.generator.rest = b""

    def test_nobody_listens(self):
        with self.assertRaisesRegex(generators.Failed, "does not listen"):
            generators.Pktgen("127.0.0.1", 1, mbits=1000)


class Client:
    """TRex's client, strict: the methods and arguments of bench/pktgen/api, on a router's wire."""

    router, facts = None, None

    def __init__(self, server):
        self.server, self.streams, self.counted = server, [], {}

    def __getattr__(self, name):
        if name not in Client.facts["client"]:
            raise AttributeError(f"TRex's client has no {name}")

        def call(**arguments):
            unknown = set(arguments) - set(Client.facts["client"][name])
            if unknown:
                raise TypeError(f"{name} has no {unknown}")
            return getattr(self, "do_" + name, lambda **_: None)(**arguments)
        return call

    def do_add_streams(self, streams, ports):
        self.streams = streams

    def do_remove_all_streams(self, ports):
        self.streams = []

    def do_start(self, ports, mult, duration, force):
        assert self.streams and mult.endswith("pps")
        rate = float(mult[:-3])
        trial = Client.router.run(rate, round(rate * duration), 0)
        self.counted = {0: {"opackets": trial.sent, "ipackets": 0},
                        1: {"opackets": 0, "ipackets": trial.received}}

    def do_get_stats(self, ports):
        return {port: self.counted[port] for port in ports}

    def do_get_port_info(self, ports):
        return [{"speed": "10 Gb/s", "driver": "net_ice"} for _ in ports]

    def do_get_pgid_stats(self, pgid_list):
        return {"latency": {7: {"latency": {"average": 20.0, "total_max": 95, "total_min": 4,
                                            "histogram": {10: 60, 20: 39, 90: 1}}}}}


@unittest.skipUnless(trex_mock, "needs scapy (package python3-scapy)")
class Trex(unittest.TestCase):
    def generator(self, profile, router):
        Client.facts = trex_mock.install(TOP / "bench" / "pktgen" / "api" / "trex-stl.json")
        Client.router = router
        return generators.Trex("", profile=profile, api=types.SimpleNamespace(STLClient=Client))

    def test_a_search(self):
        generator = self.generator("single_flow", Router(3e6))
        self.assertEqual(generator.facts()["mbits"], 10_000)
        generator.offer(64)
        tested = bench(generator, settle=0, resolution=0.01)
        self.assertAlmostEqual(measure.throughput(tested, 0).rate, 3e6, delta=1e5)
        generator.close()

    def test_latency(self):
        generator = self.generator("latency", Router())
        generator.offer(128)
        seen = generator.run(1e6, 1_000_000, 0).latency
        self.assertEqual((seen["count"], seen["mean"], seen["min"], seen["max"]), (100, 20.0, 4, 95))
        self.assertEqual([seen[key] for key in ("p50", "p90", "p99", "p99_9")], [10, 20, 20, 90])


class Own(unittest.TestCase):
    """Of wye-generator only how it is spoken to; all else is tests/end_to_end/test_rfc2544.py's."""

    FACTS = ('{"send":{"up":true,"mbits":1000},"receive":{"up":true,"descriptors":100},'
             '"cores":1}')

    def generator(self, script, **more):
        frames = types.SimpleNamespace(file=lambda size: "frames.pcap")
        return generators.Own("/bin/sh", ["-c", script], [], frames, 64, **more)

    def answer(self, text):
        return (f"read line; echo 'EAL: a word of DPDK'; echo '{self.FACTS}'; "
                f"read line; echo '{text}'; read line")

    def said(self, **more):
        return json.dumps({"sent": 1000, "received": 1000, "seconds": 1.0, "given_up_us": 0,
                           "longest_gap_us": 10, "latency_us": {"count": 0}, **more})

    def run_once(self, **more):
        generator = self.generator(self.answer(self.said(**more)))
        try:
            return generator.run(1000, 1000, 0)
        finally:
            generator.close()

    def test_what_is_a_disturbance(self):
        self.assertEqual(self.run_once().disturbed, "")
        self.assertEqual(self.run_once(received=500).disturbed, "")
        self.assertIn("gave up 2.0%", self.run_once(given_up_us=20_000).disturbed)
        # A ring of 100 lasts 100 ms at this rate. Who lost nothing was late without harm.
        self.assertIn("not receive for 150.0 ms",
                      self.run_once(received=900, longest_gap_us=150_000).disturbed)
        self.assertEqual(self.run_once(longest_gap_us=150_000).disturbed, "")

    def test_its_errors_are_said(self):
        with self.assertRaisesRegex(generators.Failed, "run .*: no frames"):
            generator = self.generator(self.answer('{"error":"no frames"}'))
            try:
                generator.run(1, 1, 0)
            finally:
                generator.close()

    def test_one_that_ends(self):
        with self.assertRaisesRegex(generators.Failed, "(?s)ended:.*no such device"):
            self.generator("read line; echo 'no such device' >&2; exit 1")

    def test_one_that_hangs(self):
        generator = self.generator(f"read line; echo '{self.FACTS}'; read line; exec sleep 100")
        with self.assertRaisesRegex(generators.Failed, "ended"):
            generator.ask("load x", patience=0.3)

    def test_a_link_that_is_down(self):
        facts = self.FACTS.replace('"receive":{"up":true', '"receive":{"up":false')
        with self.assertRaisesRegex(generators.Failed, "that should receive is down"):
            self.generator(f"read line; echo '{facts}'; read line")


class Report(unittest.TestCase):
    def result(self, router, **more):
        row = {"size": 64, "mean_size": 64, "maximum": 10e6}
        tested = bench(router, repeats=3, latency_repeats=2, burst_repeats=2, **more)
        row["throughput"] = measure.throughputs(tested, [0.0, 0.001])
        ndr = row["throughput"][0]["median"]
        row["latency"] = measure.latency(tested, ndr) if ndr else None
        row["loss"] = measure.loss_rates(tested)
        row["burst"] = measure.back_to_back(tested, ndr)
        return {"title": "A report", "machine": written.machine(), "traffic": "single",
                "generator": {"generator": "simulated", "mbits": 10_000},
                "plan": measure.asdict(tested.plan), "sizes": [row]}

    def written(self, result):
        with tempfile.TemporaryDirectory() as folder:
            written.write(folder, result)
            self.assertEqual(json.loads((Path(folder) / "report.json").read_text()),
                             json.loads(json.dumps(result)))
            plots = {path.name: path.read_text() for path in Path(folder).glob("*.svg")}
            return (Path(folder) / "report.md").read_text(), plots

    def test_all_of_it(self):
        text, plots = self.written(self.result(Router(6e6, queue=1000), resolution=0.0001))
        self.assertRegex(text, r"\| 64 \| (6|5\.999|6\.001) Mpps \| 4\.03\d? Gb/s \|")
        self.assertRegex(text, r"\| 64 \| 100% \| .* \| 0\.000000 \|")
        self.assertRegex(text, r"\| 64 \| 10 Mpps \| 10,000,000 \| 6,001,000 \| 39\.9900% \|")
        self.assertRegex(text, r"\| 64 \| 10 Mpps \| 2,(49\d|500)\.\d \|")
        if plots:  # matplotlib is there
            self.assertEqual(set(plots), {"throughput.svg", "latency.svg", "loss.svg"})
            self.assertEqual(text.count(".svg)"), 3)

    def test_one_that_always_loses(self):
        text, _ = self.written(self.result(Router(chance=0.01)))
        self.assertIn("| 64 | none: more is lost even at 10,000 frames/s", text)
        self.assertNotIn("## Latency", text)

    def test_the_most_that_was_offered_is_said(self):
        text, _ = self.written(self.result(Router()))
        self.assertIn("so the router may do more: 64", text)
        self.assertIn("2 of 2 searches lost nothing even at 20,000,000 frames", text)

    def test_units(self):
        self.assertEqual([written.rate(value) for value in (None, 12, 61_030, 14.88e6)],
                         ["none", "12 pps", "61.03 kpps", "14.88 Mpps"])
        self.assertEqual(written.bits(measure.line_rate(10_000, 64), 64), "10 Gb/s")


class CommandLine(unittest.TestCase):
    def run_it(self, *words):
        return subprocess.run([TOP / "scripts" / "rfc2544", *words], text=True, capture_output=True)

    def test_help(self):
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--router-mac", done.stdout)

    def test_the_manual_has_each_option_and_no_other(self):
        page = (TOP / "docs" / "man" / "wye-rfc2544.1").read_text().replace("\\-", "-")
        written_there = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
        known = set(re.findall(r"--[a-z][a-z-]+", self.run_it("--help").stdout)) - {"--help"}
        of_the_generator, in_examples = {"--frames", "--stamp"}, {"--vdev", "--no-pci", "--destinations"}
        self.assertEqual(written_there - in_examples, (known | of_the_generator) - in_examples)

    def test_wrong_words(self):
        self.assertEqual(self.run_it("--tests", "speed").returncode, 2)
        done = self.run_it("--generator", "pktgen", "--port", "1", "--mbits", "1000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Pktgen does not listen", done.stderr)
        done = self.run_it("--generator", "trex", "--trex", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no TRex client in /nowhere", done.stderr)


if __name__ == "__main__":
    unittest.main()
