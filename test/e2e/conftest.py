# SPDX-License-Identifier: Apache-2.0
"""pytest finds the fixtures here; they live in fixtures.py because test/conformance uses them too."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden" / "tools"))

from fixtures import *                                          # noqa: E402,F401,F403
