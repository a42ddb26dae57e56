"""The pictures of docs/explanation/radio.md, on the real ground of Andorra: `python bench/pictures_radio.py [FOLDER]` (docs/pictures).

KIBAN_TEST_DATA must name the folder of real data sets. Figures that the page tells are printed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np

from kiban.catalogue import load
from kiban.design import radio
from kiban.records.terrain import Terrain
from kiban.region.heights import heights
from pictures import drawing

MAST, MAST_M = (42.5078, 1.5211), 30.0  # Andorra la Vella; the height is chosen for the picture
FAR, FAR_NAME = (42.5359, 1.5800), "Encamp"
HALF_KM, CELLS, SIDE = 6.0, 150, 600.0
INK, LINE, ZONE, SOIL = "#111827", "#c2410c", "#f6c453", "#b9a98c"
SPARE = ((20.0, "#0b5cad", "20 dB 以上 / or more"), (10.0, "#5b9bd8", "10–20 dB"), (0.0, "#bcd9f2", "0–10 dB"))
GROUND = ((1300.0, "#eef0e6"), (1900.0, "#e0e1d6"), (9000.0, "#cfd0c6"))
UNKNOWN = "#f3cfe0"


def words(x: float, y: float, text: str, size: float = 15, anchor: str = "start") -> str:
    """A label with a white rim, readable on any colour."""
    rim = 'stroke="#fff" stroke-width="3" paint-order="stroke"'
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size:g}" text-anchor="{anchor}" fill="{INK}" {rim}>{text}</text>'


def coverage(terrain: Terrain, budget: radio.Budget) -> str:
    """Where a sensor reaches the mast, by dB to spare, over the height of the ground."""
    up, across = HALF_KM / 111.2, HALF_KM / 111.2 / np.cos(np.radians(MAST[0]))
    lat, lon = np.meshgrid(*((np.arange(CELLS) + 0.5) / CELLS * 2 - 1 for _ in range(2)), indexing="ij")
    ends = np.column_stack([(MAST[0] - lat * up).ravel(), (MAST[1] + lon * across).ravel(), np.full(CELLS**2, budget.site_m)])
    spare = radio.spare_db(radio.path_losses(terrain, np.tile([*MAST, MAST_M], (len(ends), 1)), ends, budget.mhz), budget)
    rows = np.rint((terrain.north - ends[:, 0]) / (terrain.north - terrain.south) * (terrain.heights.shape[0] - 1)).astype(int)
    columns = np.rint((ends[:, 1] - terrain.west) / (terrain.east - terrain.west) * (terrain.heights.shape[1] - 1)).astype(int)
    high = terrain.heights[rows, columns]

    def colour(room: float, height: float) -> str:
        if np.isnan(room):
            return UNKNOWN
        reached = next((fill for least, fill, _ in SPARE if room >= least), None)
        return reached or next(fill for top, fill in GROUND if height < top or np.isnan(height))

    size, parts = SIDE / CELLS, []
    fills = [colour(room, height) for room, height in zip(spare.tolist(), high.tolist(), strict=True)]
    for row in range(CELLS):
        column = 0
        for fill, same in groupby(fills[row * CELLS : (row + 1) * CELLS]):
            many = len(list(same))
            parts.append(f'<path d="M{column * size:g} {row * size + size / 2:g}h{many * size:g}" stroke="{fill}"/>')
            column += many
    parts = [f'<g stroke-width="{size + 0.6:g}" stroke-linecap="butt">', *parts, "</g>"]
    middle = SIDE / 2
    parts += [f'<path d="M{middle} {middle - 13}l11 22h-22z" fill="{LINE}" stroke="#fff" stroke-width="2"/>', words(middle + 16, middle + 6, "基地 / mast")]
    x, y = middle + (FAR[1] - MAST[1]) / across * middle, middle - (FAR[0] - MAST[0]) / up * middle
    parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{INK}" stroke="#fff" stroke-width="2"/>', words(x - 9, y - 9, FAR_NAME, anchor="end")]
    km = SIDE / (2 * HALF_KM)
    parts += [f'<path d="M24 {SIDE - 24}h{2 * km:g}" stroke="{INK}" stroke-width="4" stroke-linecap="butt"/>', words(24, SIDE - 34, "2 km")]
    left, top = SIDE + 24, 40.0
    parts.append(words(left, top, "電波の余裕 / dB to spare", 16))
    legend = [(fill, text) for _, fill, text in SPARE]
    legend += [
        (fill, text)
        for (_, fill), text in zip(GROUND, ("届かない・低地 / out of reach, low", "同・中腹 / the same, slopes", "同・高地 / the same, high"), strict=True)
    ]
    legend.append((UNKNOWN, "標高が不明 / height unknown"))
    for number, (fill, text) in enumerate(legend):
        y = top + 20 + 30 * number
        parts += [f'<rect x="{left}" y="{y}" width="26" height="20" fill="{fill}" stroke="{INK}" stroke-width="0.6"/>', words(left + 36, y + 16, text)]
    parts.append(words(left, top + 20 + 30 * len(legend) + 24, f"上が北 / north is up · {2 * HALF_KM:g} km × {2 * HALF_KM:g} km", 14))
    inside = spare[~np.isnan(spare)]
    print(f"reached {np.mean(inside >= 0):.0%} of the square, unknown {np.mean(np.isnan(spare)):.1%}")
    return drawing(SIDE + 340, SIDE, parts)


def cut(terrain: Terrain, budget: radio.Budget) -> str:
    """The ground between the mast and a village behind a ridge, the line of sight, and the Fresnel zone around it."""
    km, ground = radio.profile(terrain, MAST, FAR)
    bulge = 500 / 8500 * km * (km[-1] - km)
    from_m, to_m = ground[0] + MAST_M, ground[-1] + budget.site_m
    line = from_m + (to_m - from_m) * km / km[-1]
    zone = radio.fresnel_radius(km, km[-1] - km, budget.mhz)
    width, height, left, bottom, top = 900.0, 420.0, 70.0, 60.0, 40.0
    least, most = np.floor(ground.min() / 100) * 100 - 100, np.ceil((ground + bulge).max() / 100) * 100 + 50

    def x(value: float) -> float:
        return left + (width - left - 30) * value / km[-1]

    def y(value: float) -> float:
        return top + (height - top - bottom) * (most - value) / (most - least)

    def way(values: np.ndarray) -> str:
        return "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in zip(km.tolist(), values.tolist(), strict=True))

    back = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in zip(km[::-1].tolist(), (line - zone)[::-1].tolist(), strict=True))
    parts = [f'<path d="M{x(0):.1f} {y(least):.1f}L{way(ground + bulge)}L{x(km[-1]):.1f} {y(least):.1f}z" fill="{SOIL}" stroke="#6b5d45"/>']
    parts.append(f'<path d="M{way(line + zone)}L{back}z" fill="{ZONE}" fill-opacity="0.75"/>')
    parts.append(f'<path d="M{way(line)}" stroke="{LINE}" stroke-width="2"/>')
    parts.append(f'<path d="M{x(0):.1f} {y(ground[0]):.1f}V{y(from_m):.1f}" stroke="{INK}" stroke-width="4"/>')
    for metres in np.arange(np.ceil(least / 200) * 200, most, 200):
        parts += [f'<path d="M{left - 6:g} {y(metres):.1f}h6" stroke="{INK}"/>', words(left - 10, y(metres) + 5, f"{metres:,.0f}", 14, "end")]
    for far in range(int(km[-1]) + 1):
        parts += [f'<path d="M{x(far):.1f} {y(least):.1f}v6" stroke="{INK}"/>', words(x(far), y(least) + 22, str(far), 14, "middle")]
    parts += [words(left, 22, "標高 m / height, m", 14), words(width - 30, height - 10, "距離 km / distance, km", 14, "end")]
    parts += [words(x(0) + 12, y(from_m) - 12, "基地 / mast"), words(x(km[-1]) - 4, y(to_m) - 16, FAR_NAME, anchor="end")]
    peak = int(np.argmax(ground + bulge - line))
    parts.append(words(x(km[peak]), (y(ground[peak]) + y(line[peak])) / 2, "尾根が遮る / the ridge is in the way", anchor="middle"))
    parts.append(words(x(km[-1] * 0.5), y(line[len(km) // 2] - zone.max()) + 34, "見通し線とフレネルゾーン / line of sight, Fresnel zone", 14, "middle"))
    a, b = [[*MAST, MAST_M]], [[*FAR, budget.site_m]]
    loss, free = radio.path_losses(terrain, a, b, budget.mhz)[0], float(radio.free_space_loss(km[-1], budget.mhz))
    print(f"{km[-1]:.2f} km, ridge {(ground + bulge - line).max():.0f} m above the line, widest zone {zone.max():.0f} m")
    print(f"loss {loss:.0f} dB ({free:.0f} dB in free space), bearable {budget.bearable_db:.0f} dB")
    return drawing(width, height, parts)


def main() -> None:
    """Draw both."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    terrain = heights(Path(os.environ["KIBAN_TEST_DATA"]) / "andorra" / "N42E001.hgt.zip")
    with tempfile.TemporaryDirectory() as cache:
        budget = radio.budget(load(None, Path(cache)).technologies["lorawan"])
    if budget is None:
        raise SystemExit("lorawan.yaml states no complete radio block")
    (out / "radio-coverage.svg").write_text(coverage(terrain, budget), encoding="utf-8")
    (out / "radio-profile.svg").write_text(cut(terrain, budget), encoding="utf-8")


if __name__ == "__main__":
    main()
