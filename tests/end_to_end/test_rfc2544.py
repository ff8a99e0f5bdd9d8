#!/usr/bin/python3
"""scripts/rfc2544's measurements with its own generator, over memif, of a device whose faults are known:
a limiter of a known rate must be found within the resolution, a dropper of a known loss within its error.

    wye-generator ── memif ── wye-device-under-test ── memif ── wye-generator

Time is that at which a frame was due (--stamp due, --clock stamp), on both sides: so what else runs on
this machine changes nothing, and what is judged is exact. Another case looks at the generator's pace with
the device's own clock."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WYE_BUILD", TOP / "build"))
sys.path.insert(0, str(TOP / "bench" / "rfc2544"))
sys.dont_write_bytecode = True

import generators  # noqa: E402
import measure  # noqa: E402
import traffic  # noqa: E402

SECONDS = 0.25        # of a trial
MAXIMUM = 200_000     # frames/s: little enough for a busy machine
RING = 8192


class Pair:
    """A generator and a device, two memif links between them. `faults` are the device's options."""

    def __init__(self, *faults: str, size: int = 64, traffic_kind: str = "single",
                 stamp: str = "due", one_core: bool = False, buffer: int = 2048) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="wye-rfc2544-")
        where = Path(self.folder.name)
        cores = sorted(os.sched_getaffinity(0))
        prefix = generators.realtime()

        def eal(name: str, role: str, core: str) -> list[str]:
            ports = [f"--vdev=net_memif{n},role={role},id={n},rsize=13,bsize={buffer},"
                     f"socket={where}/{n}.sock,socket-abstract=no" for n in (0, 1)]
            return ["-l", core, "--no-huge", "--no-shconf", "--no-pci", "-m", "384",
                    "--log-level=4", "--no-telemetry", f"--file-prefix={name}-{os.getpid()}", *ports]

        self.device = subprocess.Popen(
            [*prefix, BUILD / "tests/tools/wye-device-under-test", *eal("device", "server", str(cores[0])),
             "--", "--descriptors", str(RING), "--clock", "stamp", "--longest", str(max(size, 1518)),
             *faults],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while (line := self.device.stdout.readline().strip()) != "ready":
            if not line and self.device.poll() is not None:
                raise RuntimeError("the device does not start")
        where_to_run = (["--lcores", f"0@{cores[-1]},1@{cores[-1]}"] if one_core else
                        ["-l", f"{cores[0]},{cores[-1]}"])
        frames = generators.Frames(traffic_kind, where, traffic.Link(), traffic.Tunnel(), count=64)
        try:
            self.generator = generators.Own(
                BUILD / "bench/rfc2544/wye-generator",
                where_to_run + eal("generator", "client", "")[2:],
                ["--descriptors", str(RING), "--nap", "60", "--stamp", stamp,
                 "--longest-lag", "60000000"], frames, size, prefix, tolerated=1.0)
        except BaseException:
            self.end()
            self.folder.cleanup()
            raise

    def bench(self, **more) -> measure.Bench:
        return measure.Bench(self.generator, measure.Plan(
            MAXIMUM, **{"seconds": SECONDS, "settle": 0.15, "pause": 0.02, "resolution": 0.02, "verify": 1,
                        "verify_seconds": SECONDS, "minimum": 2000, "warm_up": 0.05, **more}))

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_) -> None:
        self.generator.close()
        self.end()
        self.folder.cleanup()

    def end(self) -> dict:
        """What the device counted."""
        if self.device.poll() is None:
            self.device.terminate()
            self.said, _ = self.device.communicate(timeout=10)
        return json.loads([line for line in self.said.splitlines() if line.startswith("{")][-1])


class Search(unittest.TestCase):
    def test_a_limiter_of_known_rate(self) -> None:
        """N tokens and R of them a second: of trials of T seconds N/T + R pass without loss."""
        for rate, bucket in ((20_000, 100), (60_000, 200), (150_000, 400)):
            with self.subTest(rate=rate), Pair("--rate", str(rate), "--bucket", str(bucket)) as pair:
                bench = pair.bench()
                bench.warm_up()
                expected = rate + bucket / SECONDS
                found = measure.throughput(bench, 0).rate
                self.assertLessEqual(found, expected * 1.001)
                self.assertGreaterEqual(found, expected - 0.02 * MAXIMUM)
                # Of a load L at most a part p is lost up to L = expected / (1 - p).
                partial = measure.throughput(bench, 0.1).rate
                self.assertLessEqual(partial, expected / 0.9 * 1.001)
                self.assertGreaterEqual(partial, min(MAXIMUM, expected / 0.9) - 0.02 * MAXIMUM)
                # And twice the rate loses half.
                load = min(MAXIMUM, 2 * rate)
                self.assertAlmostEqual(bench.trial(load).loss, 1 - expected / load, delta=0.01)

    def test_a_limiter_of_bursts(self) -> None:
        """A bucket of N that fills at R takes bursts at M of N / (1 - R/M)."""
        with Pair("--rate", "50000", "--bucket", "500") as pair:
            bench = pair.bench(burst_seconds=0.1, burst_repeats=3, resolution=0.01)
            row = measure.back_to_back(bench, 50_000)
            self.assertAlmostEqual(row["mean"], 500 / (1 - 50_000 / MAXIMUM), delta=12)
            self.assertAlmostEqual(row["corrected_seconds"], 500 / MAXIMUM, delta=0.0001)

    def test_a_dropper(self) -> None:
        with Pair("--drop-every", "200") as pair:
            bench = pair.bench()
            trial = bench.trial(100_000)
            self.assertAlmostEqual(trial.lost, trial.sent / 200, delta=1)
            self.assertIsNone(measure.throughput(bench, 0).rate)
            self.assertEqual(measure.throughput(bench, 0.006).rate, MAXIMUM)

    def test_a_dropper_by_chance(self) -> None:
        for chance in (0.001, 0.05):
            with self.subTest(chance=chance), Pair("--drop-probability", str(chance)) as pair:
                trial = pair.bench().trial(MAXIMUM, 1.0)
                error = 4 * math.sqrt(chance * (1 - chance) / trial.sent)
                self.assertAlmostEqual(trial.loss, chance, delta=error)
                counted = pair.end()
                self.assertAlmostEqual(counted["dropped"] / counted["in"], chance, delta=error)

    def test_a_wire(self) -> None:
        """Nothing is lost, of any kind and size of frames; what is counted is what was sent."""
        for kind, sizes in {"table": (1518, 64, 512), "vxlan": (1518, 128), "imix": (64,)}.items():
            with self.subTest(kind), Pair(size=sizes[0] if kind != "imix" else 1518,
                                          traffic_kind=kind) as pair:
                bench = pair.bench()
                for size in sizes:
                    pair.generator.offer(size)
                    trial = bench.trial(20_000)
                    self.assertEqual((trial.sent, trial.lost), (5000, 0))
                    self.assertEqual(trial.latency["count"], 5000)
                self.assertEqual(pair.end()["in"], 5000 * len(sizes))

    def test_jumbo_frames(self) -> None:
        """Whole and unharmed where a buffer of memif holds one; refused in words where it does not."""
        with Pair(size=9000, traffic_kind="table", buffer=16384) as pair:
            bench = pair.bench()
            for size in (9000, 64, 4096):
                pair.generator.offer(size)
                trial = bench.trial(20_000)
                self.assertEqual((trial.sent, trial.lost), (5000, 0))
        with self.assertRaisesRegex(generators.Failed, "port 0 is a memif client with buffers of 2048 "
                                    r"bytes, and frames of 8996 bytes do not fit: add bsize=16384"):
            Pair(size=9000)

    def test_pdr_is_no_less_than_ndr(self) -> None:
        """Of a device that loses by chance near its limit, where searches of their own might cross."""
        with Pair("--rate", "60000", "--bucket", "200", "--drop-probability", "0.0001") as pair:
            bench = pair.bench(repeats=2)
            bench.warm_up()
            rows = measure.throughputs(bench, [0.01, 0])
            self.assertEqual([row["ratio"] for row in rows], [0, 0.01])
            for none, some in zip(rows[0]["searches"], rows[1]["searches"]):
                self.assertGreaterEqual(some["rate"], none["rate"] or 0)

    def test_the_pace(self) -> None:
        """By the clock of the device: frames take the time that they should, within what the machine lets."""
        with Pair(stamp="sent") as pair:
            trial = pair.bench().trial(40_000, 1.5)
            self.assertAlmostEqual(trial.seconds, 1.5, delta=0.1)
            self.assertAlmostEqual(pair.end()["seconds"], 1.5, delta=0.15)

    def test_one_core(self) -> None:
        """That waits for commands and serves them: neither starves the other, whatever their priority."""
        with Pair(one_core=True) as pair:
            for _ in range(3):
                trial = pair.bench().trial(20_000)
                self.assertEqual((trial.sent, trial.lost), (5000, 0))

    def test_no_port(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            frames = generators.Frames("single", folder, traffic.Link(), traffic.Tunnel())
            with self.assertRaisesRegex(generators.Failed, "there is no port 0"):
                generators.Own(BUILD / "bench/rfc2544/wye-generator",
                               ["-l", "0,1", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
                                "--no-telemetry", f"--file-prefix=none-{os.getpid()}"], [], frames, 64)


if __name__ == "__main__":
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: needs two processors")
        sys.exit(77)
    unittest.main(verbosity=2)
