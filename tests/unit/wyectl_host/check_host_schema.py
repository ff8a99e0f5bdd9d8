#!/usr/bin/python3
"""conf/host.yaml is valid by its schema; spoilt ones are not. usage: check_host_schema.py CONF"""

import copy
import json
import sys
from pathlib import Path

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: needs the Debian packages python3-jsonschema and python3-yaml ({missing})")
    sys.exit(77)

conf = Path(sys.argv[1])
schema = json.loads((conf / "host.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
example = yaml.safe_load((conf / "host.yaml").read_text())
validator.validate(example)

SPOILT = [
    lambda pf, vf: pf.pop("vfs"),
    lambda pf, vf: pf.update(interface="eno1"),
    lambda pf, vf: pf.update(address="3b:00.0"),
    lambda pf, vf: pf.update(colour="red"),
    lambda pf, vf: vf.pop("number"),
    lambda pf, vf: vf.update(mac="ff:ff:ff:ff:ff:ff"),
    lambda pf, vf: vf.update(vlan=4095),
    lambda pf, vf: vf.update(vlan_protocol="802.1ad"),
    lambda pf, vf: vf.update(driver="igb_uio"),
    lambda pf, vf: vf.update(trust="yes"),
]
for number, spoil in enumerate(SPOILT):
    bad = copy.deepcopy(example)
    spoil(bad["physical_functions"][0], bad["physical_functions"][0]["functions"][0])
    if validator.is_valid(bad):
        sys.exit(f"spoilt file {number} passes: {bad}")
print(f"the example is valid, {len(SPOILT)} spoilt ones are not")
