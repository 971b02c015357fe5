"""Model versions, and the thresholds and policies that belong to them."""

from nclscreen.catalog.installed_model import InstalledModel
from nclscreen.catalog.model_library import ModelLibrary
from nclscreen.catalog.model_version import SHIPPED, CanaryFailed, ModelVersion, WeightsNotFound
from nclscreen.catalog.model_versions import ModelVersions

__all__ = [
    "SHIPPED",
    "CanaryFailed",
    "InstalledModel",
    "ModelLibrary",
    "ModelVersion",
    "ModelVersions",
    "WeightsNotFound",
]
