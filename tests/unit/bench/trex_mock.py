"""In place of TRex's Python interface: the classes that bench/pktgen/api/trex-stl.json describes, strict,
and a field engine that carries out what a stream says, so that its frames can be looked at."""

import json
import random
import sys
import types

from scapy.all import IP, UDP, Dot1Q, Ether, raw

PACKETS = {"Ether": Ether, "Dot1Q": Dot1Q, "IP": IP, "UDP": UDP}
KINDS = {"text": str, "bool": bool, "number": (int, float), "integer": int, "list": list,
         "offset": (int, str)}


class Refused(TypeError):
    pass


def check(kind, value, what):
    if isinstance(kind, dict):
        good = value in kind["values"]
    elif kind == "packet":
        good = isinstance(value, Ether)
    elif kind in KINDS:
        good = isinstance(value, KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    else:
        good = value is None or type(value).__name__ == kind
    if not good:
        raise Refused(f"{what}: {value!r} should be {kind}")


def make_class(name, parameters, needed, one_of):
    def create(self, *values, **keywords):
        given = dict(zip(parameters, values))
        for key, value in {**given, **keywords}.items():
            if key not in parameters:
                raise Refused(f"{name} has no parameter {key}")
            check(parameters[key], value, f"{name}({key})")
            setattr(self, key, value)
            given[key] = value
        for key in needed:
            if key not in given:
                raise Refused(f"{name} needs {key}")
        if one_of and sum(key in given for key in one_of) != 1:
            raise Refused(f"{name} needs one of {', '.join(one_of)}")

    def missing(self, key):
        if key in parameters:
            return None
        raise AttributeError(key)
    return type(name, (), {"__init__": create, "__getattr__": missing})


def install(api_file, **more):
    """Makes `trex_stl_lib.api` what the file describes, and nothing else."""
    facts = json.loads(api_file.read_text())
    module = types.ModuleType("trex_stl_lib.api")
    for name, parameters in facts["classes"].items():
        setattr(module, name, make_class(name, parameters, facts["needed"].get(name, []),
                                         facts["one_of"].get(name, [])))
    for name in facts["packet_names"]:
        setattr(module, name, PACKETS[name])
    for name, value in more.items():
        setattr(module, name, value)
    package = types.ModuleType("trex_stl_lib")
    package.api = module
    sys.modules["trex_stl_lib"], sys.modules["trex_stl_lib.api"] = package, module
    return facts


def frames_of(stream, count, seed=1):
    """What TRex would send, as bytes without the check sequence."""
    chooser = random.Random(seed)
    template = raw(stream.packet.pkt)
    machine = stream.packet.vm
    return [carry_out(machine.list_of_commands if machine else [], bytearray(template), chooser, turn)
            for turn in range(count)]


def carry_out(commands, frame, chooser, turn):
    variables = {}
    for command in commands:
        kind = type(command).__name__
        if kind == "STLVmFlowVar":
            variables[command.name] = (value_of(command, chooser, turn), command.size or 4)
        elif kind == "STLVmWrFlowVar":
            value, size = variables[command.fv_name]
            write(frame, command.pkt_offset + (command.offset_fixup or 0), size,
                  value + (command.add_val or 0))
        elif kind == "STLVmWrMaskFlowVar":
            value, _ = variables[command.fv_name]
            size, at = command.pkt_cast_size or 1, command.pkt_offset
            shift = command.shift or 0
            value = value << shift if shift >= 0 else value >> -shift
            old = int.from_bytes(frame[at:at + size])
            write(frame, at, size, old & ~command.mask | value & command.mask)
        elif kind == "STLVmFixIpv4":
            at = command.offset
            header = IP(bytes(frame[at:at + 20]))
            del header.chksum
            frame[at + 10:at + 12] = raw(header)[10:12]
        else:
            raise Refused(f"{kind} is no instruction of the field engine")
    return bytes(frame)


def write(frame, at, size, value):
    if at + size > len(frame):
        raise Refused(f"byte {at + size} of a frame of {len(frame)}")
    frame[at:at + size] = (value % (1 << 8 * size)).to_bytes(size)


def value_of(variable, chooser, turn):
    values = variable.value_list
    if values is None:
        first = variable.min_value or 0
        values = range(first, (variable.max_value if variable.max_value is not None else 255) + 1)
    if variable.op == "random":
        return chooser.choice(values)
    step = turn * (variable.step or 1)
    return values[(-1 - step if variable.op == "dec" else step) % len(values)]
