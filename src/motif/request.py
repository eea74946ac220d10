"""Shim."""

from .config import SampleConfig as SampleConfig
