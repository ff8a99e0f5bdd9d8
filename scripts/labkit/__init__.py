"""The lab: two points of presence, two carriers and hosts, in namespaces of this machine."""
