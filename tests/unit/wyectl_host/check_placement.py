#!/usr/bin/python3
"""The real `wyectl host placement`: options, exit codes, and a picture that is well-formed XML.

usage: check_placement.py WYECTL TOPOLOGIES
"""

import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TOPOLOGIES, WYECTL = Path(sys.argv.pop()), sys.argv.pop()
PORT = '- {{name: wan, kind: pci, address: "{}"}}'


class Placement(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_it(self, *words):
        return subprocess.run([WYECTL, "host", "placement", *map(str, words)],
                              capture_output=True, text=True, check=False)

    def config(self, text):
        path = Path(self.folder.name) / "dataplane.yaml"
        path.write_text(text)
        return path

    def test_this_machine(self):
        done = self.run_it("--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertGreater(len(json.loads(done.stdout)["machine"]["cores"]), 0)

    def test_pictures_are_xml(self):
        for topology in TOPOLOGIES.glob("*.xml"):
            picture = Path(self.folder.name) / "plan.svg"
            done = self.run_it("--topology", topology, "--svg", picture)
            self.assertEqual((done.returncode, done.stderr), (0, ""), topology)
            self.assertTrue(ElementTree.parse(picture).getroot().tag.endswith("svg"))

    def test_configuration_with_workers(self):
        config = self.config("ports:\n" + PORT.format("0000:af:00.0") + "\nworkers: [{core: 13}]")
        topology = TOPOLOGIES / "two_sockets_smt.xml"
        plan = json.loads(self.run_it("--config", config, "--topology", topology, "--json").stdout)
        self.assertEqual([w["cpu"] for w in plan["workers"]], [13])
        self.assertFalse(plan["proposed"])
        done = self.run_it("--config", config, "--topology", topology, "--workers", 2, "--yaml")
        self.assertIn("- core: 14", done.stdout)

    def test_configuration_without_workers(self):
        config = self.config("ports:\n" + PORT.format("0000:af:00.0"))
        plan = json.loads(self.run_it("--config", config, "--json", "--topology",
                                      TOPOLOGIES / "two_sockets_smt.xml").stdout)
        self.assertTrue(plan["proposed"])
        self.assertEqual(len(plan["workers"]), 8)

    def test_refusals(self):
        done = self.run_it("--config", self.config("ports: []\nworkers: [{core: 4000}]"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("core 4000 does not exist", done.stdout)
        done = self.run_it("--config", self.config("ports: []\ncolour: red"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("dataplane.yaml:2: colour", done.stderr)

    def test_wrong_usage(self):
        for words in (["--workers", "0"], ["--workers", "many"], ["--topology", "twelve dwarves"],
                      ["--isolated", "1"], ["--topology", "pu:4", "--isolated", "3-1"],
                      ["--json", "--yaml"], ["--svg", "/nowhere/plan.svg"]):
            done = self.run_it(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr.startswith("wyectl: "), words)


unittest.main()
