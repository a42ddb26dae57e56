"""Radio 無線: how far it carries, over real ground or by a rule of thumb, and how often a device may send.

Pure functions on arrays. Heights come from region.heights as a records.terrain.Terrain; frequencies, powers and limits from data files.
"""

from kiban.design.radio.diffraction import bullington_loss, diffraction_loss, spherical_earth_loss
from kiban.design.radio.duty import Duty, airtime_s, devices_per_gateway, duty, messages_per_hour
from kiban.design.radio.link import Budget, budget, frequency, spare_db
from kiban.design.radio.loss import empirical_loss, free_space_loss, fresnel_radius, knife_edge_loss
from kiban.design.radio.paths import check_resolution, clearances, path_losses, profile

__all__ = [
    "Budget",
    "Duty",
    "airtime_s",
    "budget",
    "bullington_loss",
    "check_resolution",
    "clearances",
    "devices_per_gateway",
    "diffraction_loss",
    "duty",
    "empirical_loss",
    "free_space_loss",
    "frequency",
    "fresnel_radius",
    "knife_edge_loss",
    "messages_per_hour",
    "path_losses",
    "profile",
    "spare_db",
    "spherical_earth_loss",
]
