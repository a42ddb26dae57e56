"""References that are phrases and not places of a file, in the language of the page.

In: the reference of a figure. Out: the phrase as people of this language say it; a reference without a word stands as it is.
"""

from __future__ import annotations

import re

from kiban.documents.view import View

# What the engine writes into the ledger → the key of its words.
PHRASES = {
    "decided by the optimiser, see design.json": "ref.optimiser",
    "the sites of the region whose kind has the use case": "ref.wanted",
    "the fiscal year after the running one": "ref.start",
    "a year of the horizon, 0 the first": "ref.year",
    "one where nobody gives a number": "ref.one",
    "units of one step": "ref.of_one_step",
    "units that an arc already pays": "ref.paid_by_arc",
    "the design in which it enters": "ref.entering",
    "counted by a drill on design.json": "ref.drill",
    "found by the optimiser under the limit": "ref.under_limit",
    "proved by multipliers and a certificate of integers, verified by the independent check": "ref.multipliers",
    "a share of what the full design pays first": "ref.share_of_full",
    "what the user asked for": "ref.asked",
    "the list of what could not be placed": "ref.missing",
    "length of the street link": "ref.street",
    "distance from the street, measured when the region was built": "ref.spur",
}
OF_ONE_ARC = re.compile(r"^(\w+) of one arc$")


def phrase(view: View, ref: str) -> str:
    """A reference in words; where it names a place first ("region/x#y: length …"), the place stays before it."""
    if arc := OF_ONE_ARC.match(ref):
        return view.word("ref.of_one_arc", unit=view.unit(arc[1]))
    if ref in PHRASES:
        return view.word(PHRASES[ref])
    place, mark, said = ref.partition(": ")
    return f"{place}: {view.word(PHRASES[said])}" if mark and said in PHRASES else ref
