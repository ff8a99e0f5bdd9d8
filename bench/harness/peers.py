"""The command lines of those that are measured: wye, and its peers on the same source."""

import shutil
import subprocess

import frames
from applications import TOP, Application, Source, need


def fetched(name):
    """A program that bench/fetch-dpdk-headers has fetched or built."""
    cache = subprocess.run([str(TOP / "bench/fetch-dpdk-headers"), "--print"],
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    return str(need(f"{cache or '/nonexistent'}/bin/{name}", "run bench/fetch-dpdk-headers"))


def wye(bench, name, template, programmed, check, size=frames.SIZE, workers=1, mtu=1500):
    """`programmed`: the arguments of bench/whole_path/program after the socket."""
    dataplane = need(bench.folder / "dataplane/main/wye-dataplane", "run scripts/build")
    program = need(bench.folder / "bench/whole_path/program", "run scripts/build")
    folder = bench.new_folder(name)
    source = Source(bench.driver, folder, template, size)
    cores = [bench.worker_cpu, bench.main_cpu][:workers]
    tables = f"tables: {{folder: {bench.table_folder}}}\n" if bench.table_folder else ""
    pages, megabytes = "required" if bench.hugepages else "never", 256 if mtu <= 1500 else 512
    configuration = folder / "dataplane.yaml"
    configuration.write_text(f"""instance: {folder.name}
run_dir: {folder}/run
workers: [{", ".join(f"{{core: {core}}}" for core in cores)}]
idle: poll
memory: {{hugepages: {pages}, megabytes: {megabytes}}}
eal_drivers: [{bench.driver}]
ports:
  - {{name: source, kind: vdev, mtu: {mtu}, devargs: "{source.arguments()}"}}
{tables}limits: {{table_megabytes: 1024}}
""")
    return Application(f"wye {name}", [str(dataplane), "--config", str(configuration)], source,
                       folder, check,
                       [str(program), f"{folder}/run/dataplane.sock", *map(str, programmed)], workers)


def testpmd(bench, template, size=frames.SIZE, buffer=2176):
    found = shutil.which("dpdk-testpmd") or fetched("dpdk-testpmd")
    folder = bench.new_folder("testpmd")
    source = Source(bench.driver, folder, template, size)
    megabytes = 256 if buffer < 4096 else 512
    return Application("testpmd io", [
        found, "-l", f"{bench.main_cpu},{bench.worker_cpu}",
        *bench.memory(megabytes, folder.name), f"--vdev={source.arguments()}",
        "--", "--nb-cores=1", "--port-topology=loop", "--forward-mode=io",
        "--total-num-mbufs=16384", f"--mbuf-size={buffer}", "--auto-start"],
        source, folder, frames.check_unchanged)


def l3fwd(bench, template, tables):
    """`tables`: {4: file of prefixes, 6: file}; all of them lead back to the port."""
    folder = bench.new_folder("l3fwd")
    source = Source(bench.driver, folder, template)
    rules = {}
    for family, path in tables.items():
        rules[family] = folder / f"rules{family}"
        with open(path) as prefixes, open(rules[family], "w") as file:
            file.writelines(f"R{prefix.strip()} 0\n" for prefix in prefixes)
    return Application("l3fwd fib", [
        fetched("l3fwd"), "-l", str(bench.worker_cpu), *bench.memory(2560, folder.name),
        "--force-max-simd-bitwidth=512", f"--vdev={source.arguments()}",
        "--", "-p", "0x1", "-P", "--lookup=fib", f"--config=(0,0,{bench.worker_cpu})",
        f"--rule_ipv4={rules[4]}", f"--rule_ipv6={rules[6]}",
        "--eth-dest=0,02:00:00:00:00:03"],
        source, folder, frames.check_addressed)
