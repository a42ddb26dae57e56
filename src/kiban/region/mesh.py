"""Grid squares 地域メッシュ: code to place and back.

Source: JIS X 0410; 総務省統計局「地域メッシュ統計の特質・沿革」.
"""

from __future__ import annotations

from kiban.base.errors import RegionError

# digits of the code: (name, height in seconds of latitude, width in seconds of longitude)
LEVELS = {4: ("80 km", 2400.0, 3600.0), 6: ("10 km", 300.0, 450.0), 8: ("1 km", 30.0, 45.0), 9: ("500 m", 15.0, 22.5), 10: ("250 m", 7.5, 11.25)}


def corner(code: str) -> tuple[float, float, float, float]:
    """South-west corner, height and width of a mesh, in degrees.

    Raises RegionError when the code is none of JIS X 0410.

    >>> corner("53394611")
    (35.675, 139.7625, 0.008333333333333333, 0.0125)
    """
    if not code.isascii() or not code.isdigit() or len(code) not in LEVELS:
        raise RegionError("mesh", repr(code), "4, 6, 8, 9 or 10 digits of JIS X 0410", "check the column")
    digits = [int(digit) for digit in code]
    south = (digits[0] * 10 + digits[1]) * 2400.0
    west = (digits[2] * 10 + digits[3] + 100) * 3600.0
    if len(code) >= 6:
        if digits[4] > 7 or digits[5] > 7:
            raise RegionError("mesh", repr(code), "fifth and sixth digit from 0 to 7", "check the column")
        south, west = south + digits[4] * 300.0, west + digits[5] * 450.0
    if len(code) >= 8:
        south, west = south + digits[6] * 30.0, west + digits[7] * 45.0
    for place, (height, width) in ((8, (15.0, 22.5)), (9, (7.5, 11.25))):
        if len(code) > place:
            if not 1 <= digits[place] <= 4:
                raise RegionError("mesh", repr(code), f"digit {place + 1} from 1 to 4", "check the column")
            south += height * ((digits[place] - 1) // 2)
            west += width * ((digits[place] - 1) % 2)
    _, height, width = LEVELS[len(code)]
    return south / 3600, west / 3600, height / 3600, width / 3600


def centre(code: str) -> tuple[float, float]:
    """Latitude and longitude of the middle of a mesh.

    >>> [round(degrees, 6) for degrees in centre("53384395")]
    [35.745833, 138.44375]
    """
    south, west, height, width = corner(code)
    return south + height / 2, west + width / 2


def code_at(lat: float, lon: float, digits: int) -> str:
    """The mesh of a level (its number of digits) that holds a point; a point on an edge belongs to the north and east.

    >>> code_at(35.681, 139.767, 8), code_at(35.0, 139.0, 8)
    ('53394611', '52394000')
    """
    if digits not in LEVELS:
        raise RegionError("mesh", f"{digits} digits", "4, 6, 8, 9 or 10", "choose a level")
    south, west = lat * 3600, (lon - 100) * 3600
    p, south = divmod(south, 2400)
    u, west = divmod(west, 3600)
    if not (0 <= p < 100 and 0 <= u < 100):
        raise RegionError("mesh", f"lat {lat}, lon {lon}", "a point with latitude 0 to 66 and longitude 100 to 199", "JIS X 0410 covers Japan only")
    code = f"{int(p):02d}{int(u):02d}"
    if digits >= 6:
        q, south = divmod(south, 300)
        v, west = divmod(west, 450)
        code += f"{int(q)}{int(v)}"
    if digits >= 8:
        r, south = divmod(south, 30)
        w, west = divmod(west, 45)
        code += f"{int(r)}{int(w)}"
    for place, (height, width) in ((9, (15.0, 22.5)), (10, (7.5, 11.25))):
        if digits >= place:
            north, south = divmod(south, height)
            east, west = divmod(west, width)
            code += str(1 + int(east) + 2 * int(north))
    return code
