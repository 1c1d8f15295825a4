# SPDX-License-Identifier: Apache-2.0
"""The fixtures of test/e2e serve here too."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden" / "tools"))

from fixtures import *                                          # noqa: E402,F401,F403
