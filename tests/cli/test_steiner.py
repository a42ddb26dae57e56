"""`kiban steiner`: a small instance by hand, and what is no instance."""

from __future__ import annotations

import gzip
import json

import pytest

from kiban.cli import main

# Three terminals around node 4: the star over node 4 costs 3, any two sides of the triangle 4.
STAR = """SECTION Graph
Nodes 4
Edges 6
E 1 2 2
E 2 3 2
E 1 3 2
E 1 4 1
E 2 4 1
E 3 4 1
END
SECTION Terminals
Terminals 3
T 1
T 2
T 3
END
EOF
"""


def test_the_star_is_found_and_proved_from_text_and_from_gzip(tmp_path, capsys):
    (tmp_path / "star.gr").write_text(STAR)
    (tmp_path / "star.gr.gz").write_bytes(gzip.compress(STAR.encode()))
    for name in ("star.gr", "star.gr.gz"):
        assert main(["steiner", str(tmp_path / name), "--time", "5", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["cost"], told["lower_bound"], told["gap"], told["status"]) == (3, 3, 0.0, "proved")


@pytest.mark.parametrize("content", [b"no instance", b"\xff\xfe\x00"])
def test_what_is_no_instance_is_refused(tmp_path, capsys, content):
    (tmp_path / "bad.gr").write_bytes(content)
    assert main(["steiner", str(tmp_path / "bad.gr")]) == 2
    assert "bad.gr" in capsys.readouterr().err
