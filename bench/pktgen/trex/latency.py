"""A load of one UDP flow, and beside it probes, whose latency TRex measures (group 7)."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common  # noqa: E402

from trex_stl_lib.api import STLFlowLatencyStats  # noqa: E402

PROBES = 1000   # a second, whatever the load: TRex does not multiply the rate of such a stream
GROUP = 7
SMALLEST = 68   # TRex writes its marks into the last 16 bytes of a probe's payload


def probe_rate(found):
    found.add_argument("--probes", type=float, default=PROBES, help="a second")


class Profile:
    def get_streams(self, direction=0, tunables=(), **keywords):
        arguments = common.read_arguments(__doc__, tunables, keywords, probe_rate)
        probe = common.flow(arguments, max(arguments.size, SMALLEST), arguments.destination)
        return [common.stream(common.flow(arguments, arguments.size, arguments.destination)),
                common.stream(probe, pps=arguments.probes,
                              flow_stats=STLFlowLatencyStats(pg_id=GROUP))]


def register():
    return Profile()
