"""Runs Lua against pktgen_mock.lua, with the interface that bench/pktgen/api describes."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MOCK = Path(__file__).resolve().with_name("pktgen_mock.lua")
API = "pktgen-23.03.json"


def interpreter():
    return shutil.which("lua5.4") or shutil.which("lua5.3")


def lua(value):
    """A value as Lua writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}"
                               for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(lua(item) for item in value) + "}"
    return json.dumps(value, ensure_ascii=False)


def write_api(pktgen, path):
    facts = json.loads((pktgen / "api" / API).read_text())
    facts["may_lack"] = {key: True for key in facts["sequence_may_lack"]}
    path.write_text("return " + lua(facts))


def command(pktgen, folder, *scripts):
    """Of the mock; what is called goes to `calls` in the folder."""
    write_api(pktgen, folder / "api.lua")
    return [interpreter(), str(MOCK), str(folder / "api.lua"), str(folder / "calls"),
            *map(str, scripts)]


def run(pktgen, script, settings):
    """([(function, arguments)], what it printed); a script that fails is an assertion's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "WYE_LUA": str(pktgen / "lua"),
                       **{f"WYE_{key}": value for key, value in settings.items()}}
        done = subprocess.run(command(pktgen, folder, script), text=True, capture_output=True,
                              env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        return read_calls(folder), done.stdout


def read_calls(folder):
    calls = map(json.loads, (folder / "calls").read_text().splitlines())
    return [(call["call"], call.get("arguments", [])) for call in calls]


def sequence(calls):
    """The entries of the sequence, by their numbers."""
    entries = {arguments[0]: arguments[2] for name, arguments in calls if name == "seqTable"}
    assert sorted(entries) == list(range(len(entries))), "the entries of a sequence leave a gap"
    return [entries[slot] for slot in sorted(entries)]
