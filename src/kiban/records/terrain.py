"""Heights of the ground on a grid, as radio reads them. Reading files is left to region.heights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import RecordError

# A ridge narrower than the grid is not in the grid. Beyond this spacing a hill that hides a house is flattened away, and an answer would be a guess:
# diffraction and line of sight are refused on anything coarser.
COARSEST_M = 200.0


@dataclass(frozen=True, eq=False)
class Terrain:
    """Heights above sea level on a grid of latitude and longitude (標高格子).

    heights    (rows, columns)  m   row 0 is the northernmost, column 0 the westernmost; nan where the height is unknown
    south … east  degrees           positions of the outermost heights, WGS84
    spacing_m                       distance of neighbours in the wider direction

    >>> flat = Terrain(np.zeros((3, 3)), 42.0, 1.0, 42.002, 1.002, 111.0)
    >>> flat.heights.dtype, flat.coarse
    (dtype('float32'), False)
    """

    heights: NDArray[np.float32]
    south: float
    west: float
    north: float
    east: float
    spacing_m: float

    def __post_init__(self) -> None:
        heights = np.ascontiguousarray(self.heights, np.float32)
        if heights.ndim != 2 or min(heights.shape) < 2 or not self.south < self.north or not self.west < self.east or not self.spacing_m > 0:
            found = f"{heights.shape} heights from {self.south}, {self.west} to {self.north}, {self.east}, {self.spacing_m} m apart"
            raise RecordError("terrain", found, "at least 2 × 2 heights, south below north, west below east", "read the elevation file again")
        object.__setattr__(self, "heights", heights)

    @property
    def coarse(self) -> bool:
        """Whether the grid is too coarse for diffraction and line of sight."""
        return self.spacing_m > COARSEST_M
