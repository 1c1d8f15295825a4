# SPDX-License-Identifier: Apache-2.0
"""The suites that look at yagura alone: queries while loading, growth with rows, monitors, recovery."""


def run(bench):
    del bench
