"""The door for gunicorn."""

from __future__ import annotations

from core.config import load_settings
from core.logs import set_up_logs
from dashboard.app import create_app

set_up_logs()
app = create_app(load_settings())
