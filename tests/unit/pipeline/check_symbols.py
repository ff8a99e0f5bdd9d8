"""What the packet path could reach at all: from the pipeline's entry points and the tables' lookups,
along all direct calls through the objects of pipeline, net, table and ring, no symbol outside these
objects may be reached but those allowed below, nor an instruction that locks the bus or enters the
kernel. So no allocation, lock, system call or exception.

Indirect calls are not followed: of those there are the port's frame pool, which is under drivers/,
and variants chosen at run time, which count as entry points by their names.

usage: check_symbols.py OBJDUMP LIBRARY…"""

import re
import subprocess
import sys

ALLOWED = {
    "memcpy", "memmove", "memset", "memcmp", "bcmp",
    "abort", "__assert_fail", "__stack_chk_fail",  # a broken invariant ends the process
    "_GLOBAL_OFFSET_TABLE_",
}
ENTRIES = re.compile(
    r"_ZN3wye8pipeline(\d+)(run_from_port|run_from_host|run_from_bfd|run_held|book_transmitted|release_held)E|"
    r"_ZN3wye5table.*\d(lookup|match)_")
NEEDED = ["run_from_port", "run_from_host", "run_from_bfd", "run_held", "book_transmitted", "lookup_fib4",
          "lookup_fib6", "match_acl"]

FILE = re.compile(r"^(?:.*:\s+|In archive.*)file format|^\S+:\s+file format")
SECTION = re.compile(r"^Disassembly of section (\S+):")
FUNCTION = re.compile(r"^([0-9a-f]+) <(\S+)>:$")
CALL = re.compile(r"\t(?:call|jmp|j[a-z]+)\s+[0-9a-f]+ <([^>+]+)(\+0x[0-9a-f]+)?>")
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\t(lock|syscall|sysenter|int |mfence)")
RELOCATION = re.compile(r"^\s+[0-9a-f]+: R_X86_64_\S+\s+(\S+?)([+-]0x[0-9a-f]+)?$")


class Objects:
    """Functions by (object, name), and where they lead. A name without an object is looked up among
    the global ones."""

    def __init__(self):
        self.leads, self.places, self.by_name = {}, {}, {}

    def read(self, objdump, library, number):
        text = subprocess.run([objdump, "-dr", "--no-show-raw-insn", library], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        where, member, section = None, (number, 0), ""
        for line in text.splitlines():
            if FILE.match(line):
                member = (number, member[1] + 1)
            elif match := SECTION.match(line):
                section = match[1]
            elif match := FUNCTION.match(line):
                where = (member, match[2])
                self.leads.setdefault(where, set())
                self.by_name.setdefault(match[2], []).append(where)
                self.places.setdefault((member, section), []).append((int(match[1], 16), where))
            elif where and (match := INSTRUCTION.match(line)):
                self.leads[where].add((member, f"instruction {match[1]}"))
            elif where and (match := CALL.search(line)):
                self.leads[where].add((member, match[1]))
            elif where and (match := RELOCATION.match(line)):
                offset = int(match[2] or "0", 16)
                self.leads[where].add((member, match[1], offset))

    def follow(self, lead):
        """Functions that it leads to; a string where it leads out of these objects."""
        member, name = lead[:2]
        if (member, name) in self.leads:
            return [(member, name)]
        if (member, name) in self.places:  # a section, and where in it: the end of the call is 4 on
            at = lead[2] + 4
            inside = [where for begin, where in self.places[(member, name)] if begin <= at]
            return inside[-1:]
        if name in self.by_name:
            return self.by_name[name]
        if name.startswith((".rodata", ".data", ".bss", ".LC", ".text")):
            return []
        return name


def demangle(name):
    return subprocess.run(["c++filt", name], stdout=subprocess.PIPE, text=True).stdout.strip()


def is_data(name):
    """Of our own: constants and tables, which are no calls."""
    return name.startswith(("_ZN3wye", "_ZZN3wye", "_ZTV", "_ZGV")) and "(" not in demangle(name)


def reach(objects, entries):
    """{name outside: how it was come by}."""
    found, seen = {}, {entry: None for entry in entries}
    waiting = list(entries)
    while waiting:
        where = waiting.pop()
        for lead in objects.leads[where]:
            targets = objects.follow(lead)
            if isinstance(targets, str):
                found.setdefault(targets, where)
                continue
            for target in targets:
                if target not in seen:
                    seen[target] = where
                    waiting.append(target)
    return found, seen


def path_to(where, seen):
    names = []
    while where is not None:
        names.append(demangle(where[1]).partition("(")[0])
        where = seen[where]
    return " ← ".join(names)


def main():
    objects = Objects()
    for number, library in enumerate(sys.argv[2:]):
        objects.read(sys.argv[1], library, number)
    entries = [where for where in objects.leads if ENTRIES.match(where[1])]
    missing = [name for name in NEEDED if not any(name in entry[1] for entry in entries)]
    if missing:
        print(f"not found among the objects: {', '.join(missing)}")
        return 1
    found, seen = reach(objects, entries)
    wrong = {name: where for name, where in found.items()
             if name not in ALLOWED and not is_data(name)}
    for name, where in sorted(wrong.items()):
        print(f"forbidden: {demangle(name)}: {path_to(where, seen)}")
    print(f"{len(entries)} entry points, {len(seen)} functions, "
          f"reach outside: {', '.join(sorted(found))}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
