"""Hard words that explain themselves: a word of the glossary on a page, with its meaning one press, hover or touch away.

In: the words, the address of the glossary. Out: HTML of one word. It works without script: the browser's own popover opens it by mouse, keyboard and
touch and closes it by Escape; `page.mjs` opens it on hover and focus too. A browser that knows no popover shows the word with its meaning as title.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from markupsafe import Markup

from kiban.catalogue.words import Words

TERM, MEANING = "term.", ".is"


def terms(texts: Mapping[str, str]) -> list[str]:
    """The ids of all words of the glossary, in the order of the file.

    >>> terms({"term.gap": "gap", "term.gap.is": "how far cost and bound lie apart", "plan.gap": "gap"})
    ['gap']
    """
    return [key.removeprefix(TERM) for key in texts if key.startswith(TERM) and not key.endswith(MEANING)]


class Terms:
    """The words of the glossary for one page."""

    def __init__(self, word: Words, glossary: Callable[[], str]) -> None:
        self._word, self._glossary, self._next = word, glossary, count(1)

    def __call__(self, id: str, text: str | None = None) -> Markup:
        """One word, as the glossary has it or as `text`; it may stand inside a sentence, a heading of a row or a label, not inside a link or a button.

        Raises
        ------
        DataFileError  the glossary has no such word
        """
        word = self._word
        place, meaning = f"term-{next(self._next)}", word(TERM + id + MEANING)
        shown = word(TERM + id) if text is None else text
        return Markup(
            '<span class="term"><button type="button" popovertarget="{0}" popovertargetaction="show" aria-describedby="{0}" title="{1}">{2}</button>'
            '<span popover id="{0}" class="tip"><b>{3}</b> {1} <a href="{4}#{5}">{6}</a></span></span>'
        ).format(place, meaning, shown, word(TERM + id), self._glossary(), id, word("help.words"))
