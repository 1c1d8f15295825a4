# SPDX-License-Identifier: Apache-2.0
"""Every case is complete and its expect.jsonl is what the independent decoder reads today."""
import pathlib

import pytest

import decode

GOLDEN = pathlib.Path(__file__).resolve().parent.parent
CASES = sorted(p.parent for p in GOLDEN.glob("*/*/request.bin"))


def test_cases_exist():
    assert len(CASES) > 40


@pytest.mark.parametrize("case", CASES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_expect_is_in_step(case):
    assert (case / "NOTE.md").read_text().strip()
    rows = decode.decode(*decode.load_case(case))
    assert rows
    assert (case / "expect.jsonl").read_text() == decode.dump(rows)
