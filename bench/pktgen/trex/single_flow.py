"""One UDP flow of frames of one size."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common  # noqa: E402


class Profile:
    def get_streams(self, direction=0, tunables=(), **keywords):
        arguments = common.read_arguments(__doc__, tunables, keywords)
        return [common.stream(common.flow(arguments, arguments.size, arguments.destination))]


def register():
    return Profile()
