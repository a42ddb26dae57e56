"""Grid squares: codes and places agree with JIS X 0410 and with each other."""

from __future__ import annotations

import csv
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import RegionError
from kiban.region.mesh import LEVELS, centre, code_at, corner

inside_japan = st.tuples(st.floats(20.5, 45.5), st.floats(123.0, 153.9))


@given(inside_japan, st.sampled_from(sorted(LEVELS)))
def test_a_point_lies_in_the_mesh_of_its_code(point, digits):
    south, west, height, width = corner(code_at(*point, digits))
    assert south - 1e-9 <= point[0] < south + height + 1e-9
    assert west - 1e-9 <= point[1] < west + width + 1e-9


@given(inside_japan, st.sampled_from(sorted(LEVELS)))
def test_the_middle_of_a_mesh_encodes_to_its_code(point, digits):
    code = code_at(*point, digits)
    assert code_at(*centre(code), digits) == code


@given(inside_japan)
def test_a_finer_code_begins_with_the_coarser_one(point):
    codes = [code_at(*point, digits) for digits in sorted(LEVELS)]
    assert all(fine.startswith(coarse) for coarse, fine in itertools.pairwise(codes))


@pytest.mark.parametrize(
    ("code", "message"), [("1234567", "4, 6, 8, 9 or 10 digits"), ("53398611", "from 0 to 7"), ("533946115", "digit 9 from 1 to 4"), ("5339461a", "digits")]
)
def test_a_code_that_is_none_is_refused(code, message):
    with pytest.raises(RegionError, match=message):
        corner(code)


def test_middles_agree_with_a_published_table(test_data):
    """The table of 北杜市 gives latitude and longitude of each 1 km mesh."""
    with (test_data / "hokuto" / "hokuto_mesh_1km.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 250
    for row in rows:
        assert centre(row["mesh1km"]) == pytest.approx((float(row["lat"]), float(row["lon"])), abs=1e-9)
