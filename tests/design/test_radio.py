"""Radio: published reference values, an open implementation, properties, and real terrain."""

from __future__ import annotations

import time
import zipfile
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import DesignError, RegionError
from kiban.catalogue import load
from kiban.design import radio
from kiban.design.radio.diffraction import bullington
from kiban.records.terrain import Terrain
from kiban.region.heights import heights

# ITU-R Study Group 3, "Validation examples for the delta Bullington diffraction prediction method" (delB_valid_temp.xlsx, page outputs): paths 1 to 4 with
# five pairs of antennas each, effective Earth radius 8,500 km, horizontal polarisation, tolerance 0.1 dB as the Notes page says.
# Rows: km, antennas above the smooth surface in m, MHz, loss over the spherical Earth, Bullington loss over the smooth surface.
ITU = [
    (83.07993853, 211.3366061, 30, 1000, 15.3485837, 13.74840484),
    (83.07993853, 233.4945304, 10, 2500, 23.6973069, 18.5970601),
    (83.07993853, 204.7165548, 20, 600, 20.91384864, 15.79373777),
    (83.07993853, 215.727222, 50, 200, 14.32933641, 11.50981857),
    (83.07993853, 252.3138569, 5, 150, 33.13883693, 14.93033347),
    (132.315397, 37.97366242, 119.2363492, 1000, 69.45434151, 35.82816509),
    (132.315397, 57.97664284, 99.82603022, 2500, 85.53863749, 39.66871934),
    (132.315397, 27.97366242, 109.2363492, 600, 66.31647651, 34.29503068),
    (132.315397, 47.97366242, 139.2363492, 200, 45.7547348, 27.74009568),
    (132.315397, 78.00115495, 99.67579634, 150, 43.35361839, 26.58559997),
    (17.39688966, 110.1894677, 30, 1000, 0, 0),
    (17.39688966, 132.6734925, 11.9416848, 2500, 0, 0),
    (17.39688966, 102.8893122, 22.52524312, 600, 0, 0),
    (17.39688966, 118.7202148, 50, 200, 0, 0),
    (17.39688966, 152.2011247, 5.664441408, 150, 10.63765222, 6.17409081),
    (40.51112702, 139.8495825, 543.1729418, 1000, 0, 0),
]


def steps(km):
    return np.append(np.arange(0, km - 1e-9, 0.05), km)


@pytest.mark.parametrize(("km", "tx", "rx", "mhz", "loss", "_"), ITU, ids=range(len(ITU)))
def test_the_loss_over_a_round_earth_is_that_of_the_itu_validation_examples(km, tx, rx, mhz, loss, _):
    assert radio.spherical_earth_loss(km, tx, rx, mhz, vertical=False) == pytest.approx(loss, abs=0.1)


@pytest.mark.parametrize(("km", "tx", "rx", "mhz", "_", "loss"), ITU, ids=range(len(ITU)))
def test_the_bullington_loss_over_smooth_ground_is_that_of_the_itu_validation_examples(km, tx, rx, mhz, _, loss):
    d = steps(km)
    assert bullington(d, np.zeros(len(d)), len(d), float(tx), float(rx), mhz / 1000, 8500.0) == pytest.approx(loss, abs=0.1)


def test_free_space_loss_is_that_of_the_itu_validation_of_p1812():
    # ITU-R P.1812 validation results b2iseac_0: f 0.0953 GHz, d 235.1 km, Lbfs 119.4069487 dB
    assert radio.free_space_loss(235.1, 95.3) == pytest.approx(119.4069, abs=0.01)


@pytest.mark.parametrize(("area", "loss"), [("large_city", 137.93), ("city", 137.88), ("suburb", 128.03)])
def test_hata_is_that_of_the_reference_values_of_the_ns3_simulator(area, loss):
    # ns-3, okumura-hata test suite (reference values obtained with octave): 869 MHz, 2 km, 30 m, 1 m, tolerance 0.1 dB. Its open area is left out: its
    # 110.21 dB comes from 4.70 (log f)^2 where Hata 1980 prints 4.78
    assert radio.empirical_loss(2, 869, 30, 1, area) == pytest.approx(loss, abs=0.1)


@pytest.mark.parametrize(("mhz", "intercept", "slope"), [(900, 123.3, 33.7), (1800, 133.2, 33.8)])
def test_hata_and_its_extension_are_the_lines_of_gsm_03_30(mhz, intercept, slope):
    # ETSI GSM 03.30 annex: urban loss 123.3 + 33.7 log d at 900 MHz, 133.2 + 33.8 log d at 1,800 MHz (base 50 m, mobile 1.5 m)
    km = np.array([1.0, 5.0, 20.0])
    assert np.abs(radio.empirical_loss(km, mhz, 50, 1.5, "city") - (intercept + slope * np.log10(km))).max() < 0.2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((0.5, 900, 30, 1.5, "city"), "distance in km: found 0.5"),
        ((25, 900, 30, 1.5, "city"), "distance in km: found 25"),
        ((5, 100, 30, 1.5, "city"), "frequency in MHz: found 100"),
        ((5, 2400, 30, 1.5, "city"), "frequency in MHz: found 2400"),
        ((5, 900, 10, 1.5, "city"), "base antenna in m: found 10"),
        ((5, 900, 30, 0.5, "city"), "mobile antenna in m: found 0.5"),
        ((5, 1800, 30, 1.5, "open"), "area open: found 1800 MHz"),
        ((float("nan"), 900, 30, 1.5, "city"), "distance in km: found nan"),
    ],
    ids=["near", "far", "low", "high", "base", "mobile", "open", "nan"],
)
def test_an_empirical_model_outside_its_measurements_is_refused(args, told):
    with pytest.raises(DesignError, match=r"where the measurements|COST 231") as caught:
        radio.empirical_loss(*args)
    assert told in str(caught.value)


def test_one_edge_costs_six_db_at_grazing_and_is_its_fresnel_integral():
    # P.526: |1 + i)/2 ∫ exp(-iπt²/2)| from v to infinity; the formula is an approximation of it
    from scipy.special import fresnel

    for v in (-0.7, 0.0, 0.5, 1.0, 2.4, 5.0):
        s, c = fresnel(v)
        exact = -20 * np.log10(np.hypot(1 - c - s, c - s) / 2)  # equation (30)
        assert float(radio.knife_edge_loss(v)) == pytest.approx(exact, abs=0.3)


def test_one_edge_is_that_of_itmlogic():
    aknfe = pytest.importorskip("itmlogic.diffraction_attenuation.aknfe").aknfe
    for v in (0.5, 1.0, 2.0, 3.0, 10.0):
        assert float(radio.knife_edge_loss(v)) == pytest.approx(aknfe(v * v), abs=0.6)


def test_a_single_high_edge_costs_what_the_knife_edge_formula_says_plus_the_term_of_bullington():
    km, ground = np.array([0.0, 4.0, 10.0]), np.array([0.0, 300.0, 0.0])
    height = 300 - 20 + 500 / 8500 * 4 * 6
    v = height * np.sqrt(2 * 10 / (0.299792458 / 0.9 * 4 * 6 * 1000))
    one = float(radio.knife_edge_loss(v))
    assert radio.bullington_loss(km, ground, 20, 20, 900) == pytest.approx(one + (1 - np.exp(-one / 6)) * 10.2, abs=0.01)


HEIGHTS = st.lists(st.floats(0, 800), min_size=3, max_size=40)


@given(HEIGHTS, st.floats(2, 60), st.floats(2, 60), st.sampled_from([150.0, 920.0, 7500.0]))
def test_a_path_costs_the_same_both_ways(ground, tx, rx, mhz):
    km = np.linspace(0, 0.4 * (len(ground) - 1), len(ground))
    there = radio.diffraction_loss(km, ground, tx, rx, mhz)
    assert there == pytest.approx(radio.diffraction_loss(km, ground[::-1], rx, tx, mhz), abs=1e-6)
    assert there >= 0


@given(HEIGHTS, st.floats(2, 60), st.floats(1, 200))
def test_a_higher_hill_in_a_blocked_path_never_costs_less(ground, tx, rise):
    km = np.linspace(0, 0.4 * (len(ground) - 1), len(ground))
    middle, top = len(ground) // 2, max(ground) + 300
    low, high = list(ground), list(ground)
    low[middle], high[middle] = top, top + rise
    assert radio.bullington_loss(km, high, tx, tx, 920) >= radio.bullington_loss(km, low, tx, tx, 920) - 1e-9


def plain(height=100.0, side=601):
    return Terrain(np.full((side, side), height), 42.0, 1.0, 42.5, 1.5, 92.6)


def test_over_flat_ground_loss_grows_with_distance_and_is_free_space_while_nothing_is_in_the_way():
    lon = np.linspace(1.002, 1.45, 120)
    a, b = np.tile([42.2, 1.0, 30.0], (120, 1)), np.column_stack([np.full(120, 42.2), lon, np.full(120, 10.0)])
    loss = radio.path_losses(plain(), a, b, 920)
    assert np.all(np.diff(loss) > 0)
    near = radio.path_losses(plain(), a[:1], b[:1], 920)[0]
    km, _ = radio.profile(plain(), a[0], b[0])
    assert near == pytest.approx(float(radio.free_space_loss(km[-1], 920)), abs=0.05)


def test_room_over_a_plain_is_the_height_of_the_antennas_less_the_fresnel_zone_and_the_bulge_of_the_earth():
    a, b = [[42.2, 1.1, 40.0]], [[42.2, 1.2, 40.0]]
    km, _ = radio.profile(plain(), a[0], b[0])
    d = km[-1]
    assert radio.clearances(plain(), a, b, None)[0] == pytest.approx(40 - 500 / 8500 * d * d / 4, abs=0.05)
    zone = 0.6 * float(radio.fresnel_radius(d / 2, d / 2, 7500))
    assert radio.clearances(plain(), a, b, 7500)[0] == pytest.approx(40 - 500 / 8500 * d * d / 4 - zone, abs=0.05)


def test_a_wall_blocks_the_view_and_an_unknown_height_makes_it_unknown():
    ground = np.full((601, 601), 100.0)
    ground[:, 180] = 200.0
    a, b = [[42.2, 1.1, 40.0]], [[42.2, 1.2, 40.0]]
    assert radio.clearances(Terrain(ground, 42.0, 1.0, 42.5, 1.5, 92.6), a, b, 7500)[0] < -10
    ground[:, 180] = np.nan
    void = Terrain(ground, 42.0, 1.0, 42.5, 1.5, 92.6)
    assert np.isnan(radio.clearances(void, a, b, 7500)[0])
    assert np.isnan(radio.path_losses(void, a, b, 920)[0])
    assert np.isnan(radio.path_losses(plain(), a, [[43.0, 1.2, 10.0]], 920)[0])  # outside the grid


@pytest.mark.parametrize("spacing", [200.1, 1107.0])
def test_a_coarse_grid_is_refused_for_diffraction_and_for_line_of_sight(spacing):
    coarse = Terrain(np.zeros((9, 9)), 42.0, 1.0, 42.1, 1.1, spacing)
    a, b = [[42.02, 1.02, 20.0]], [[42.08, 1.08, 20.0]]
    for look in (lambda: radio.path_losses(coarse, a, b, 920), lambda: radio.clearances(coarse, a, b, 920), lambda: radio.profile(coarse, a[0], b[0])):
        with pytest.raises(DesignError, match="resolution too coarse"):
            look()


def test_the_grid_of_hokkaido_is_too_coarse(test_data):
    terrain = heights(test_data / "hokkaido" / "elevation_mesh_1km.csv")
    assert terrain.spacing_m > 900
    assert 2200 > np.nanmax(terrain.heights) > 1500
    with pytest.raises(DesignError, match="resolution too coarse"):
        radio.path_losses(terrain, [[43.0, 141.3, 30.0]], [[43.1, 141.4, 10.0]], 920)


@pytest.fixture(scope="session")
def andorra(test_data):
    return heights(test_data / "andorra" / "N42E001.hgt.zip")


def test_the_heights_of_andorra_stand_where_they_should(andorra):
    # Coma Pedrosa 2,942 m, the highest point (42.5917 N, 1.4442 E); Andorra la Vella 1,023 m (42.5078 N, 1.5211 E); SRTM smooths peaks
    for lat, lon, height, off in ((42.5917, 1.4442, 2942, 60), (42.5078, 1.5211, 1023, 40)):
        km, ground = radio.profile(andorra, (lat, lon), (lat + 0.001, lon))
        assert ground[0] == pytest.approx(height, abs=off)
        assert km[0] == 0


def test_over_the_mountains_of_andorra_a_ridge_hides_the_next_valley(andorra):
    mast, same, next = [42.5078, 1.5211, 30.0], [42.5105, 1.5385, 2.0], [42.5640, 1.4870, 2.0]
    loss = radio.path_losses(andorra, [mast, mast], [same, next], 923.2)
    free = radio.free_space_loss([radio.profile(andorra, mast, end)[0][-1] for end in (same, next)], 923.2)
    room = radio.clearances(andorra, [mast, mast], [same, next], 923.2)
    assert loss[0] - free[0] < 20 < 30 < loss[1] - free[1]
    assert room[1] < -100
    assert loss.tolist() == pytest.approx(radio.path_losses(andorra, [same, next], [mast, mast], 923.2).tolist(), abs=1e-6)


def test_a_thousand_sites_and_two_hundred_places_take_seconds(andorra):
    random = np.random.default_rng(3)
    near = random.uniform(-0.05, 0.05, (200_000, 2))
    places = np.column_stack([random.uniform(42.2, 42.8, 200_000), random.uniform(1.2, 1.8, 200_000), np.full(200_000, 25.0)])
    sites = np.column_stack([places[:, :2] + near, np.full(200_000, 2.0)])
    radio.path_losses(andorra, places[:1], sites[:1], 920)
    begin = time.perf_counter()
    loss = radio.path_losses(andorra, places, sites, 920)
    assert time.perf_counter() - begin < 20  # two or three here; the rest is for a busy machine
    assert np.isfinite(loss).mean() > 0.85


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("N42E001.hgt.zip", lambda p: _zip(p, "N42E001.hgt", b"\0" * 7), "7 bytes"),
        ("N42E001.hgt.zip", lambda p: _zip(p, "readme.txt", b"a"), "a zip without .hgt"),
        ("N42E001.hgt.zip", lambda p: p.write_bytes(b"PK no zip"), "a broken zip"),
        ("N42E001.hgt.zip", lambda p: _zip(p, "N42E001.hgt", b"\x80\0" * 9), "no height at all"),
        ("N42E001.hgt.zip", lambda p: _zip(p, "N42E001.hgt", bytes(2 * 8000**2)), "8,000 × 8,000 heights"),
    ],
    ids=["size", "other", "broken", "void", "huge"],
)
def test_a_bad_elevation_file_is_refused_before_it_takes_memory(tmp_path, name, write, told):
    path = tmp_path / name
    write(path)
    with pytest.raises(RegionError) as caught:
        heights(path)
    assert told in str(caught.value)


def _zip(path, name, data):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)


def test_a_small_tile_is_read_with_north_on_top_and_voids_unknown(tmp_path):
    rows = np.array([[1, 2, 3], [4, -32768, 6], [7, 8, 9]], ">i2")
    _zip(tmp_path / "S01W002.hgt.zip", "S01W002.hgt", rows.tobytes())
    terrain = heights(tmp_path / "S01W002.hgt.zip")
    assert (terrain.south, terrain.west, terrain.north, terrain.east) == (-1, -2, 0, -1)
    assert np.array_equal(terrain.heights, np.array([[1, 2, 3], [4, np.nan, 6], [7, 8, 9]], np.float32), equal_nan=True)


def test_a_geotiff_is_read_at_the_middle_of_its_pixels(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path, values = tmp_path / "dem.tif", np.arange(12, dtype=np.float32).reshape(3, 4)
    transform = rasterio.Affine(0.001, 0.0, 137.0, 0.0, -0.001, 37.0)
    with rasterio.open(path, "w", driver="GTiff", height=3, width=4, count=1, dtype="float32", crs="EPSG:4326", transform=transform) as raster:
        raster.write(values, 1)
    terrain = heights(path)
    assert np.array_equal(terrain.heights, values)
    assert (terrain.north, terrain.west, terrain.south, terrain.east) == pytest.approx((36.9995, 137.0005, 36.9975, 137.0035))


# A frame of 4 bytes after a preamble of 759 symbols is exactly 800 ms (ados-lora 0.1.1, governor tests); 23 and 51 bytes as the calculators of The Things
# Network and Semtech say.
@pytest.mark.parametrize(
    ("payload", "spreading", "preamble", "seconds"), [(4, 7, 759, 0.8), (23, 7, 8, 0.061696), (23, 12, 8, 1.482752), (10, 12, 8, 0.991232)]
)
def test_time_on_the_air_is_as_published(payload, spreading, preamble, seconds):
    assert radio.airtime_s(payload, spreading, preamble=preamble) == pytest.approx(seconds, abs=1e-9)


def test_messages_per_hour_follow_the_limits_of_the_rule(tmp_path):
    rule = load(None, tmp_path).rules["radio-duty"]
    brief, long, registered = (radio.duty(rule, name, date(2026, 11, 27)) for name in ("low-power-400ms", "low-power-4s", "registered-4s"))
    assert (long.longest_s, long.pause_s, long.hourly_s) == (4, 0.05, None)
    assert (registered.longest_s, registered.pause_s, registered.hourly_s) == (4, 0.05, 360)
    assert radio.messages_per_hour(0.4, brief) == 900
    assert radio.messages_per_hour(0.41, brief) == 0
    assert radio.messages_per_hour(0.4, registered) == 900
    assert radio.messages_per_hour(0.4, long) == 8000
    with pytest.raises(DesignError, match="low-power-400ms"):
        radio.duty(rule, "amateur", date(2026, 11, 27))
    with pytest.raises(DesignError, match="none on that day"):
        radio.duty(rule, "low-power-4s", date(2018, 1, 1))


def test_devices_on_a_gateway_are_those_whose_messages_rarely_meet():
    limits = radio.Duty(4, 0.05, None)
    count = radio.devices_per_gateway(6, 0.4, limits, channels=1, success=0.9)
    random = np.random.default_rng(0)  # the same by trying: frames at random over 200 hours
    begins = np.sort(random.uniform(0, 200 * 3600, count * 6 * 200))
    alone = (np.diff(begins, prepend=-9) > 0.4) & (np.diff(begins, append=1e9) > 0.4)
    assert alone.mean() == pytest.approx(0.9, abs=0.01)
    assert radio.devices_per_gateway(9001, 0.4, limits) == 0
