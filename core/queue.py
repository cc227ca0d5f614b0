"""The doorbell's wiring: one Celery application, configured for work that the ledger owns.

A message carries no arguments that matter. No result backend, no retries, no ETA, no revoke: the ledger does these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from core.config import Settings
from core.errors import BrokerUnavailable

WORK_TASK = "voicesketch.work"


def make_celery(settings: Settings, include: Sequence[str] = ()) -> Celery:
    """An application on the broker of the settings.

    Args:
        include: modules with tasks, imported by workers; those who only ring need none.
    """
    app = Celery(
        "voicesketch",
        broker=settings.broker_url.get_secret_value(),
        include=list(include),
        set_as_current=bool(include),
    )
    app.conf.update(
        task_default_queue=settings.queue,
        task_serializer="json",
        accept_content=["json"],
        # The database lease recovers a lost worker; redelivery by the broker would run live work twice.
        task_acks_late=False,
        task_ignore_result=True,
        task_time_limit=None,  # limits live with the job
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # Prefork answers pings while it works, spawn is safe with CUDA, one process per device.
        worker_pool="prefork",
        worker_concurrency=1,
        worker_pool_start_method="spawn",
        # Importing torch takes longer than the 4 s after which a starting child would be killed, again and again.
        worker_proc_alive_timeout=300,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=60,
        worker_enable_soft_shutdown_on_idle=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that refuses to write, as with a full disk, is waited for like one that is away.
        broker_channel_error_retry=True,
        visibility_timeout=43200,
        broker_transport_options={
            "global_keyprefix": "voicesketch:",
            "visibility_timeout": 43200,
            # Without these a half-open connection would be waited for without end.
            "health_check_interval": 25,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "retry_on_timeout": True,
        },
    )
    return app


class CeleryDoorbell:
    """Rings by sending an empty task."""

    def __init__(self, app: Celery) -> None:
        self._app: Any = app

    def ring(self, queue: str) -> None:
        try:
            self._app.send_task(WORK_TASK, queue=queue, ignore_result=True, retry=False, expires=3600)
        except (OperationalError, OSError) as error:
            raise BrokerUnavailable(f"The broker cannot be reached: {error}") from error
