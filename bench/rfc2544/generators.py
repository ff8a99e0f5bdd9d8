"""Generators behind one interface:

    facts()                   what the report says of it, a dict; "mbits" of the sending link, 0: unknown
    offer(size)               other frames from now on, of `size` bytes with their check sequence
    run(rate, frames, settle) one trial: that many frames at `rate` a second, and what came back until
                              `settle` seconds after. A measure.Trial
    close()

A trial is disturbed, and repeated, where the generator itself says that it could not do what was asked."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pktgen"))

import measure  # noqa: E402
import traffic  # noqa: E402


class Failed(RuntimeError):
    """The generator does not do as it should; the text says what it said."""


class Frames:
    """The frames of one kind of traffic, of any size, in files of a folder."""

    def __init__(self, kind, folder, link, tunnel, count=4096, seed=1):
        self.kind, self.folder, self.link, self.tunnel = kind, Path(folder), link, tunnel
        self.count, self.seed = count, seed

    def file(self, size):
        path = self.folder / f"{self.kind}-{size}.pcap"
        if not path.exists():
            traffic.write_pcap(path, self.made(size))
        return path

    def made(self, size):
        if self.kind == "single":
            return traffic.single(self.link, size)
        if self.kind == "table":
            return traffic.to_table(self.link, size, self.count, self.seed)
        if self.kind == "imix":
            return traffic.imix(self.link, self.count, self.seed)
        return traffic.tunnelled(self.link, self.tunnel, size, self.count, self.seed)


class Own:
    """wye-generator (bench/rfc2544/generator.cc), a process whose standard input takes commands."""

    name = "wye-generator"
    TOLERATED = 0.01  # part of a trial that may be given up to keep the pace

    def __init__(self, program, eal, options, frames, largest, prefix=(), tolerated=TOLERATED):
        self.frames, self.tolerated = frames, tolerated
        self.command = [*prefix, str(program), *eal, "--", "--frames", str(frames.file(largest)),
                        *options]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.words = []
        self.reader = threading.Thread(target=self.read_errors, daemon=True)
        self.reader.start()
        self.known = self.ask("facts")
        for side in ("send", "receive"):
            if not (self.known[side] or {}).get("up"):
                self.close()
                raise Failed(f"the link of the port that should {side} is down: {self.known[side]}")

    def read_errors(self):
        for line in self.process.stderr:
            self.words = [*self.words[-20:], line.rstrip()]

    def ask(self, line, patience=60.0):
        """The answer to a line; a generator that has none for so many seconds is ended."""
        watchdog = threading.Timer(patience, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            # DPDK's libraries print to standard output as well.
            while not (answer := self.process.stdout.readline()).startswith("{"):
                if not answer:
                    raise BrokenPipeError
        except BrokenPipeError:
            self.close()
            raise Failed("the generator ended:\n" + "\n".join(self.words)) from None
        finally:
            watchdog.cancel()
        found = json.loads(answer)
        if "error" in found:
            raise Failed(f"{line}: {found['error']}")
        return found

    def facts(self):
        return {"generator": self.name, "mbits": self.known["send"]["mbits"], **self.known,
                "command": self.command}

    def offer(self, size):
        self.ask(f"load {self.frames.file(size)}")

    def run(self, rate, frames, settle):
        said = self.ask(f"run {rate:.3f} {frames} {settle}", 60 + 2 * frames / rate + settle)
        return measure.Trial(rate, said["seconds"], said["sent"], said["received"],
                             self.disturbance(said, rate), said["latency_us"])

    def disturbance(self, said, rate):
        given_up = said["given_up_us"] / 1e6
        if given_up > self.tolerated * said["seconds"]:
            return f"it gave up {given_up / said['seconds']:.1%} of the time to keep the pace"
        # A receiver that was kept from its ring for longer than the ring lasts loses frames itself.
        lasts = self.known["receive"].get("descriptors", 0) / rate
        if said["received"] < said["sent"] and lasts and said["longest_gap_us"] / 1e6 > lasts:
            return f"it did not receive for {said['longest_gap_us'] / 1000:.1f} ms"
        return ""

    def close(self):
        if not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


class Pktgen:
    """Pktgen-DPDK 23.03 by its Lua socket (started with -G or -g). It paces in percent of the link's
    speed. It counts all that a port receives, and has no end of a trial of its own: `count` is set to
    the frames that are wanted, and it is asked until it sends no more."""

    name = "Pktgen"

    def __init__(self, host="localhost", port=22022, send="0", receive="1", mbits=0, replay=False,
                 link=None, timeout=30.0):
        import socket
        self.send, self.receive, self.mbits, self.replay = send, receive, mbits, replay
        self.link = link or traffic.Link()
        self.size, self.turn, self.rest = 64, 0, b""
        try:
            self.socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise Failed(f"Pktgen does not listen at {host}:{port} (is it started with -G?): "
                         f"{error}") from None
        if mbits <= 0:
            raise Failed("--mbits is needed: Pktgen does not say how fast the link is")
        self.lua(f'pktgen.screen("off"); pktgen.stop("{send}")')

    def lua(self, code):
        """Runs a line of Lua; what it prints until the mark that this adds."""
        self.turn += 1
        mark = f"wye-{self.turn}"
        self.socket.sendall(f'{code}; printf("{mark}\\n")\n'.encode())
        while mark.encode() + b"\n" not in self.rest:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                more = b""
            if not more:
                raise Failed(f"Pktgen did not answer to {code!r}: {self.rest.decode(errors='replace')}")
            self.rest += more
            if b"error" in self.rest and mark.encode() + b"\n" not in self.rest:
                raise Failed(f"Pktgen: {self.rest.decode(errors='replace').strip()}")
        said, _, self.rest = self.rest.partition(mark.encode() + b"\n")
        return said.decode(errors="replace").strip()

    def facts(self):
        return {"generator": self.name, "mbits": self.mbits, "send": self.send,
                "receive": self.receive, "replays": self.replay}

    def offer(self, size):
        self.size = size
        if self.replay:
            self.lua(f'pktgen.pcap("{self.send}", "on")')
            return
        link = self.link
        self.lua(f'pktgen.seqTable(0, "{self.send}", {{eth_dst_addr = "{link.router}", '
                 f'eth_src_addr = "{link.host}", ip_dst_addr = "198.19.0.10", '
                 f'ip_src_addr = "198.18.0.10/24", sport = 1024, dport = 443, ethType = "ipv4", '
                 f'ipProto = "udp", vlanid = {link.vlan or 1}, pktSize = {size}}}); '
                 f'pktgen.set("{self.send}", "seq_cnt", 1); '
                 f'pktgen.vlan("{self.send}", "{"on" if link.vlan else "off"}")')

    def run(self, rate, frames, settle):
        percent = min(100.0, 100 * rate / measure.line_rate(self.mbits, self.size))
        frames = min(frames, 0xFFFFFFFF)
        self.lua(f'pktgen.clr(); pktgen.set("{self.send}", "count", {frames}); '
                 f'pktgen.set("{self.send}", "rate", {percent:.6g}); pktgen.start("{self.send}")')
        begun = time.monotonic()
        seconds = frames / rate
        time.sleep(seconds)
        while self.sending():
            if time.monotonic() - begun > 2 * seconds + 5:
                self.lua(f'pktgen.stop("{self.send}")')
                break
            time.sleep(0.05)
        passed = time.monotonic() - begun
        time.sleep(settle)
        sent = self.counter(self.send, "opackets")
        received = self.counter(self.receive, "ipackets")
        return measure.Trial(rate, passed, sent, received, self.disturbance(sent, frames, passed, seconds))

    def sending(self):
        return self.lua(f'printf("%s\\n", pktgen.isSending("{self.send}")[{self.send}])') == "y"

    def counter(self, port, name):
        return int(self.lua(f'printf("%d\\n", pktgen.portStats("{port}", "port")[{port}].{name})'))

    @staticmethod
    def disturbance(sent, frames, passed, seconds):
        if sent < frames:
            return f"it sent {sent:,} of {frames:,} frames"
        if passed > 1.05 * seconds + 0.3:
            return f"it took {passed:.1f} s for {seconds:.1f} s of frames"
        return ""

    def close(self):
        self.lua(f'pktgen.stop("{self.send}")')
        self.socket.close()


class Trex:
    """TRex 2.9x or 3.x by its own Python interface (its folder automation/trex_control_plane/interactive,
    in --trex). Profiles are those of bench/pktgen/trex; latency is that of its probes."""

    name = "TRex"
    PROFILES = Path(__file__).resolve().parents[1] / "pktgen" / "trex"
    GROUP = 7

    def __init__(self, path, server="127.0.0.1", send=0, receive=1, profile="single_flow", tunables=(),
                 api=None):
        if api is None:
            sys.path.insert(0, str(path))
            try:
                from trex_stl_lib import api
            except ImportError as error:
                raise Failed(f"no TRex client in {path}: {error}") from None
        self.api, self.send, self.receive = api, send, receive
        self.profile, self.tunables = profile, list(tunables)
        self.client = api.STLClient(server=server)
        self.client.connect()
        self.client.reset(ports=self.ports())

    def ports(self):
        return sorted({self.send, self.receive})

    def facts(self):
        info = self.client.get_port_info(ports=[self.send])[0]
        gigabits = str(info.get("speed", 0)).split()[0]  # a number, or "10 Gb/s"
        return {"generator": self.name, "mbits": int(float(gigabits) * 1000),
                "driver": info.get("driver"), "profile": self.profile, "tunables": self.tunables}

    def offer(self, size):
        import importlib.util
        where = self.PROFILES / f"{self.profile}.py"
        specification = importlib.util.spec_from_file_location("profile", where)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        streams = module.register().get_streams(direction=0,
                                                tunables=[*self.tunables, "--size", str(size)])
        self.client.remove_all_streams(ports=[self.send])
        self.client.add_streams(streams=streams, ports=[self.send])

    def run(self, rate, frames, settle):
        seconds = frames / rate
        self.client.clear_stats(ports=self.ports())
        begun = time.monotonic()
        try:
            self.client.start(ports=[self.send], mult=f"{rate:.3f}pps", duration=seconds, force=True)
            self.client.wait_on_traffic(ports=[self.send], timeout=seconds + 30)
        except Exception as error:  # the client has its own kinds, which only it can name
            raise Failed(f"TRex: {error}") from error
        passed = time.monotonic() - begun
        time.sleep(settle)
        stats = self.client.get_stats(ports=self.ports())
        sent, received = stats[self.send]["opackets"], stats[self.receive]["ipackets"]
        disturbed = ""
        if sent < 0.99 * frames - 2:  # more is the profile's probes
            disturbed = f"it sent {sent:,} of {frames:,} frames"
        return measure.Trial(rate, passed, sent, received, disturbed, self.latency())

    def latency(self):
        if self.profile != "latency":
            return None
        groups = self.client.get_pgid_stats(pgid_list=[self.GROUP])["latency"]
        seen = groups.get(self.GROUP, {}).get("latency")
        if not seen:
            return None
        buckets = seen["histogram"]
        counts = sorted(buckets.items()) if isinstance(buckets, dict) else sorted(
            (bucket["key"], bucket["val"]) for bucket in buckets)
        return {"count": sum(value for _, value in counts), "min": seen.get("total_min"),
                "mean": seen["average"], "max": seen["total_max"],
                **{key: quantile(counts, part) for key, part in
                   {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}.items()}}

    def close(self):
        self.client.stop(ports=[self.send])
        self.client.disconnect()


def quantile(counts, part):
    """Of (start of a bucket, how many) in order: the start of the bucket in which the part lies."""
    wanted, seen = part * sum(value for _, value in counts), 0
    for key, value in counts:
        seen += value
        if seen >= wanted:
            return float(key)
    return None


def realtime():
    """A prefix of commands by which nothing ordinary keeps a process from its core; empty where that is
    not allowed."""
    done = subprocess.run(["chrt", "-f", "10", "true"], capture_output=True)
    return ["chrt", "-f", "10"] if done.returncode == 0 and os.geteuid() == 0 else []
