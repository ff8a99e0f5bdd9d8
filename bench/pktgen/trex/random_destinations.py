"""Random addresses of the real table, from random ports."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import common  # noqa: E402


class Profile:
    def get_streams(self, direction=0, tunables=(), **keywords):
        arguments = common.read_arguments(__doc__, tunables, keywords)
        return [common.scattered(arguments, arguments.size)]


def register():
    return Profile()
