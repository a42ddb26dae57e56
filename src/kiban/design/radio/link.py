"""What a radio can bear (回線設計): the power that arrives against the power that the receiver needs.

In: the radio block of a technology. Out: a Budget, and dB to spare for a loss. The loss itself: radio.loss and radio.paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kiban.records.source import Quantity
from kiban.records.technology import Technology


@dataclass(frozen=True)
class Budget:
    """The weaker direction of a radio link, complete.

    mhz             frequency
    eirp_dbm        power of the sender towards the receiver, antenna included
    gain_dbi        antenna of the receiver, its cable taken off
    sensitivity_dbm least power at which the receiver still reads
    margin_db       kept for fading, trees and walls; 0 where nobody states it: then half of the places at the edge are served
    site_m          antenna at the site, above the ground
    base_m          antenna at the place where the row of the place gives no height; None: then it is unknown
    """

    mhz: float
    eirp_dbm: float
    gain_dbi: float
    sensitivity_dbm: float
    margin_db: float
    site_m: float
    base_m: float | None

    @property
    def bearable_db(self) -> float:
        """The greatest loss at which the link still holds.

        >>> Budget(923.2, 16, 0, -132, 0, 1.5, None).bearable_db
        148
        """
        return self.eirp_dbm + self.gain_dbi - self.sensitivity_dbm - self.margin_db


def budget(technology: Technology) -> Budget | None:
    """The link budget that a technology's file states; None while a figure of it is missing: then only its radius is known."""
    radio = technology.radio
    if radio is None:
        return None
    needed = [_value(q) for q in (radio.frequency_mhz, radio.eirp_dbm, radio.gain_dbi, radio.sensitivity_dbm, radio.site_height_m)]
    mhz, eirp, gain, sensitivity, site = needed
    if mhz is None or eirp is None or gain is None or sensitivity is None or site is None:
        return None
    return Budget(mhz, eirp, gain, sensitivity, _value(radio.margin_db) or 0.0, site, _value(radio.base_height_m))


def spare_db(loss_db: ArrayLike, budget: Budget) -> NDArray[np.float64]:
    """dB to spare at a loss; not negative: the link holds; nan where the loss is unknown.

    >>> spare_db([140, 150], Budget(923.2, 16, 0, -132, 0, 1.5, None)).tolist()
    [8.0, -2.0]
    """
    return np.asarray(budget.bearable_db - np.asarray(loss_db, np.float64), np.float64)


def frequency(technology: Technology) -> float | None:
    """The frequency in MHz that a technology's file states."""
    return None if technology.radio is None else _value(technology.radio.frequency_mhz)


def _value(quantity: Quantity | None) -> float | None:
    return None if quantity is None else quantity.value
