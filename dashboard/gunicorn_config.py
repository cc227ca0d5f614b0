"""How gunicorn serves the dashboard: `gunicorn -c python:dashboard.gunicorn_config dashboard.wsgi:app`.

Live pages hold one connection, and so one thread, each; threads that wait cost little. One process keeps the memory
of the small caches in one place and is enough for one machine: pages wait for the ledger, not for Python.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from core.config import load_settings
from core.errors import VoicesketchError
from core.ledger.database import Database
from dashboard.bind import check_bind

worker_class = "dashboard.patient_worker.PatientWorker"  # gunicorn's gthread
workers = 1
threads = 64
bind = f"127.0.0.1:{urlsplit(load_settings().public_url).port or 8000}"
# Every thread answers its heart-beat through the main one, so long downloads do not count as hanging.
timeout = 60
graceful_timeout = 5
keepalive = 15
# Sign-in links are secrets; the default access log would keep them.
accesslog = None
loglevel = "warning"
control_socket_disable = True  # nobody here asks it anything


def on_starting(server: Any) -> None:
    settings = load_settings()
    database = Database(settings.database_url)
    try:
        for address in server.cfg.address:
            host = address[0] if isinstance(address, tuple) else f"unix:{address}"
            check_bind(host, settings, database)
    except VoicesketchError as error:
        sys.exit(error.message)
    finally:
        database.dispose()


def post_worker_init(worker: Any) -> None:
    """Says that this dashboard is there, and ends live streams at once on SIGTERM.

    Gunicorn would wait for them until it loses patience.
    """
    # Imported here: the parent process of gunicorn needs nothing of the app, and stays small.
    from core.watching.presence import keep_noting
    from dashboard.api.events import close_streams

    stop = threading.Event()
    noting = (load_settings(), "dashboard", stop, lambda: True)
    threading.Thread(target=keep_noting, args=noting, name="presence", daemon=True).start()
    earlier = signal.getsignal(signal.SIGTERM)

    def leave(number: int, frame: FrameType | None) -> None:
        stop.set()
        close_streams()
        if callable(earlier):
            earlier(number, frame)

    signal.signal(signal.SIGTERM, leave)
