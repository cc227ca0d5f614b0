"""The door for gunicorn."""

from __future__ import annotations

from core.config import load_settings
from core.watching.telemetry import set_up_telemetry
from dashboard.app import create_app

settings = load_settings()
set_up_telemetry(settings, "dashboard")
app = create_app(settings)
