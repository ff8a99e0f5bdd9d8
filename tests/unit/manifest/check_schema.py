#!/usr/bin/python3
"""The example and the lab's manifests are valid by the schema; spoilt ones are not."""
import copy
import json
import pathlib
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: needs the Debian packages python3-jsonschema and python3-yaml ({missing})")
    sys.exit(77)

conf = pathlib.Path(sys.argv[1]) / "conf"
schema = json.loads((conf / "manifest.schema.json").read_text())
Validator = jsonschema.Draft202012Validator
Validator.check_schema(schema)
validator = Validator(schema)
failed = 0


def expect(what, manifest, valid):
    global failed
    errors = [e.message for e in validator.iter_errors(manifest)]
    if bool(errors) == valid:
        failed += 1
        print(f"{what}: expected {'valid' if valid else 'refused'}: {errors[:3]}")



example = yaml.safe_load((conf / "manifest.example.yaml").read_text())
for path in [conf / "manifest.example.yaml", *sorted(conf.glob("lab/*/manifest.yaml"))]:
    expect(str(path), yaml.safe_load(path.read_text()), True)

spoilings = [
    ("apiVersion", lambda m: m.update(apiVersion="v2")),
    ("unknown key", lambda m: m.update(tenant=[])),
    ("vlan 4095", lambda m: m["tenants"][0]["vports"][0].update(vlan=4095)),
    ("mtu 100", lambda m: m["tenants"][0]["vports"][0].update(mtu=100)),
    ("multicast MAC", lambda m: m["tenants"][0]["vports"][0].update(mac="01:00:00:00:00:01")),
    ("zero MAC", lambda m: m["tenants"][0]["vports"][0].update(mac="00:00:00:00:00:00")),
    ("port and tunnel", lambda m: m["tenants"][0]["vports"][0].update(tunnel="red-vxlan")),
    ("VNI", lambda m: m["tenants"][0]["tunnels"][0].update(vni=1 << 24)),
    ("no vrf", lambda m: m["tenants"][0]["vports"][0].pop("vrf")),
    ("netns and device", lambda m: m["tenants"][0]["vrfs"][0].update(device="x")),
    ("long twin", lambda m: m["tenants"][0]["vports"][0].update(twin="sixteen-bytes-xx")),
    ("action", lambda m: m["tenants"][0]["acls"][0]["rules"][0].update(action="drop")),
    ("flags", lambda m: m["tenants"][0]["acls"][0]["rules"][0].update(tcp_flags="syn")),
]
for what, spoil in spoilings:
    manifest = copy.deepcopy(example)
    spoil(manifest)
    expect(what, manifest, False)
print(f"{len(spoilings)} spoilt manifests, {failed} failures")
sys.exit(1 if failed else 0)
