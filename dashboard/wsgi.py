"""The door for gunicorn."""

from __future__ import annotations

from core.config import load_settings
from dashboard.app import create_app

app = create_app(load_settings())
