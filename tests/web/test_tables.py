"""Every cell knows the heading of its column, so that a narrow screen can show a row as a card."""

from __future__ import annotations

from markupsafe import Markup

from kiban.web.tables import labelled

HEAD = '<table class="wide"><caption>c</caption><thead><tr><th scope="col">Site</th><th scope="col" class="n">Cost &amp; more</th><th>Why</th></tr></thead>'


def test_a_cell_carries_the_heading_of_its_column() -> None:
    made = labelled(Markup(HEAD + '<tbody><tr data-site="a"><th scope="row">A</th><td class="n"><b>7</b></td><td> \n</td></tr></tbody></table>'))
    assert '<td class="n" role="cell" data-label="Cost &amp; more"><b>7</b></td>' in made
    assert '<td role="cell" data-label="Why"></td>' in made
    assert '<th scope="row" role="rowheader" data-label="Site">A</th>' in made


def test_a_cell_over_several_columns_has_no_label_and_the_next_one_its_own() -> None:
    made = labelled(Markup(HEAD + '<tbody><tr><td colspan="2">none</td><td>x</td></tr><tr><td>y</td></tr></tbody></table>'))
    assert '<td colspan="2" role="cell">none</td><td role="cell" data-label="Why">x</td>' in made
    assert '<td role="cell" data-label="Site">y</td>' in made


def test_a_heading_that_is_a_link_labels_with_its_text_alone() -> None:
    made = labelled(Markup('<table><thead><tr><th><a href="#x">Trust</a></th></tr></thead><tbody><tr><td>A</td></tr></tbody></table>'))
    assert made.endswith('<td role="cell" data-label="Trust">A</td></tr></tbody></table>')


def test_the_table_stays_one_for_a_screen_reader() -> None:
    made = labelled(Markup(HEAD + "<tbody><tr><th>A</th><td>1</td><td>2</td></tr></tbody></table>"))
    assert made.startswith(
        '<table class="wide" role="table"><caption>c</caption><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Site</th>'
    )
    assert made.count('role="columnheader"') == 3
    assert made.count('role="cell"') == 2


def test_a_table_without_a_heading_row_is_left_alone() -> None:
    assert labelled(Markup("<table><tr><td>1</td></tr></table>")) == "<table><tr><td>1</td></tr></table>"
