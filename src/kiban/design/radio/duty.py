"""How often a licence-free device may send, and how many fit on one gateway (送信時間の制限).

In: the limits of a rule, the size of a message. Out: seconds on the air, messages per hour, devices. The limits are data: rules/radio-duty.yaml.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from kiban.base.errors import DesignError
from kiban.records.rule import Rule


@dataclass(frozen=True)
class Duty:
    """Limits of one class of station: seconds that one sending may last, seconds of silence after it, seconds on the air per hour (None: no limit)."""

    longest_s: float
    pause_s: float
    hourly_s: float | None


def duty(rule: Rule, station: str, day: date) -> Duty:
    """The limits that hold for a class of station (`station` of the rule's entries) on a day.

    Raises
    ------
    DesignError  the rule knows no such class, or nothing for that day
    """
    lists = [one for one in rule.lists if one.since <= day]
    rows = {entry.id: entry.quantity for entry in (lists[-1].entries if lists else ()) if entry.when.get("station") == station}
    values = {id: quantity.value for id, quantity in rows.items() if quantity is not None}
    longest, pause = values.get("longest"), values.get("pause")
    if longest is None or pause is None:
        known = sorted({entry.when.get("station", "") for one in lists for entry in one.entries})
        raise DesignError("radio duty", f"station {station!r} on {day}", f"one of {', '.join(known) or 'none on that day'}", "correct the class or the day")
    return Duty(longest, pause, values.get("hourly"))


def airtime_s(payload: int, spreading: int, *, khz: float = 125.0, coding: int = 1, preamble: int = 8, header: bool = True, crc: bool = True) -> float:
    """Seconds that one LoRa frame of `payload` bytes (the whole frame, not only the reading) is on the air.

    Parameters
    ----------
    payload    0 … 255 bytes
    spreading  7 … 12 (spreading factor 拡散率)
    coding     1 … 4 for 4/5 … 4/8

    Source: Semtech AN1200.13 "LoRa Modem Designer's Guide", section 4; low-data-rate optimisation where a symbol lasts 16 ms or more.

    >>> round(airtime_s(23, 7), 4), round(airtime_s(23, 12), 3)
    (0.0617, 1.483)
    """
    if not 0 <= payload <= 255 or not 7 <= spreading <= 12 or not 1 <= coding <= 4 or khz <= 0:
        found = f"{payload} bytes, spreading factor {spreading}, coding {coding}, {khz} kHz"
        raise DesignError("LoRa frame", found, "0 to 255 bytes, 7 to 12, 1 to 4, more than 0 kHz", "correct the value")
    symbol = float(2**spreading) / (khz * 1000)
    slow = 1 if symbol >= 0.016 else 0
    bits = 8 * payload - 4 * spreading + 28 + (16 if crc else 0) - (0 if header else 20)
    symbols = 8 + max(math.ceil(bits / (4 * (spreading - 2 * slow))) * (coding + 4), 0)
    return (preamble + 4.25 + symbols) * symbol


def messages_per_hour(airtime: float, limits: Duty) -> int:
    """How many messages one device may send in an hour; 0 when one alone lasts too long.

    >>> messages_per_hour(0.37, Duty(4, 0.05, None)), messages_per_hour(0.37, Duty(0.4, 0.002, 360)), messages_per_hour(1.5, Duty(0.4, 0.002, 360))
    (8571, 972, 0)
    """
    if not airtime > 0:
        raise DesignError("airtime", f"{airtime} s", "more than 0 s", "correct the value")
    if airtime > limits.longest_s:
        return 0
    by_pause = math.floor(3600 / (airtime + limits.pause_s) + 1e-9)
    return by_pause if limits.hourly_s is None else min(by_pause, math.floor(limits.hourly_s / airtime + 1e-9))


def devices_per_gateway(messages: float, airtime: float, limits: Duty, *, channels: int = 8, success: float = 0.9) -> int:
    """How many devices can send through one gateway while each message gets through undisturbed with the chance `success`; 0: not allowed.

    Parameters
    ----------
    messages  per hour and device, > 0, evenly and at random
    channels  that the gateway hears at the same time
    success   chance of one message, 0 … 1 exclusive

    Nobody is assumed to listen before sending and two frames on one channel destroy each other, so this is on the low side: pure ALOHA,
    chance exp(-2 G). Source: N. Abramson, "The ALOHA System", AFIPS Fall Joint Computer Conference, 1970.

    >>> devices_per_gateway(4, 0.37, Duty(4, 0.05, None))
    1025
    """
    if not messages > 0 or channels < 1 or not 0 < success < 1:
        found = f"{messages} messages, {channels} channels, chance {success}"
        raise DesignError("gateway", found, "more than 0, 1 or more, between 0 and 1", "correct the value")
    if messages > messages_per_hour(airtime, limits):
        return 0
    return math.floor(channels * 3600 * -math.log(success) / 2 / (messages * airtime))
