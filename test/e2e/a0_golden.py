# SPDX-License-Identifier: Apache-2.0
"""The golden cases and their independent decoder agree (test/golden/tools/test_golden.py, run with this suite)."""
from test_golden import *                                       # noqa: F401,F403
