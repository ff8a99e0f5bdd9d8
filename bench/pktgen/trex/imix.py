"""The Internet mix to random addresses of the real table: of 12 frames 7 of 64, 4 of 594, 1 of 1518."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common  # noqa: E402

IMIX = [(64, 7), (594, 4), (1518, 1)]


class Profile:
    def get_streams(self, direction=0, tunables=(), **keywords):
        arguments = common.read_arguments(__doc__, tunables, keywords)
        return [common.scattered(arguments, size, pps=float(weight)) for size, weight in IMIX]


def register():
    return Profile()
