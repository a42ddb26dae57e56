"""Somebody who walks through the pages, with the mouse or with the keyboard alone, and counts what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MOST_TABS = 400  # more would be no way for a person either; counted apart from the clicks


@dataclass
class Walker:
    """Clicks, presses and types on one page, as a person would; `looked` is called on every page that was come to."""

    page: Page
    hands: str  # mouse or keyboard
    pictures: Path | None = None
    looked: Callable[[Page, str], None] = lambda *_: None
    clicks: int = 0
    fields: int = 0
    tabs: int = 0
    seen: list[str] = field(default_factory=list)

    def press(self, place: Locator, key: str = "Enter") -> None:
        """Follow a link, push a button."""
        self.clicks += 1
        if self.hands == "mouse":
            place.click()
        else:
            self.reach(place)
            self.page.keyboard.press(key)

    def choose(self, place: Locator) -> None:
        """Choose one of several, or tick."""
        self.clicks += 1
        if self.hands == "mouse":
            place.check()
            return
        kind = place.get_attribute("type")
        if kind != "radio":
            self.reach(place)
            self.page.keyboard.press("Space")
            return
        group = self.page.locator(f'input[type=radio][name="{place.get_attribute("name")}"]')
        checked = self.page.locator(f'input[type=radio][name="{place.get_attribute("name")}"]:checked')
        self.reach(checked if checked.count() else group.first)
        for _ in range(group.count() + 1):
            if place.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError("the choice is not reached by the arrow keys")

    def fill(self, place: Locator, text: str) -> None:
        """Type into a field, in the place of what stands there."""
        self.fields += 1
        if self.hands == "mouse":
            self.clicks += 1
            place.click()
        else:
            self.reach(place)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        assert place.input_value() == text

    def reach(self, place: Locator) -> None:
        """Press Tab until a place has the focus."""
        place.first.wait_for()
        for _ in range(MOST_TABS):
            if place.first.evaluate("node => node === document.activeElement"):
                return
            self.tabs += 1
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{place} is not reached by Tab")

    def at(self, name: str, path: str, wait: int = 60_000) -> None:
        """Be on a page: wait for its address, look at it, take its picture."""
        self.page.wait_for_url(path, timeout=wait)
        self.page.wait_for_load_state("load")
        if self.page.locator("#map").count():
            self.page.wait_for_selector("#map[data-ready=yes]", timeout=wait)
        self.seen.append(name)
        self.looked(self.page, name)
        if self.pictures is not None:
            self.page.screenshot(path=self.pictures / f"{len(self.seen):02}-{name}.jpg", type="jpeg", quality=75)
