"""Waits for a broker that answers and takes nothing, as one does whose disk is full.

Celery connects, is refused with its first word, and connects anew, five times a second and with a connection left
open each time, until it has no file left to open. Whether the broker takes what is written is asked first here.
"""

from __future__ import annotations

import time
from typing import Any

import redis
import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

log = structlog.get_logger()

_KEY = "voicesketch:takes"
_KEPT_SECONDS = 60
_ASK_SECONDS = 1.0
_ANSWER_SECONDS = 5


class PatientConsumer(Consumer):  # type: ignore[misc]
    """The part of a worker's main process that listens to the broker."""

    def connect(self) -> Any:
        with redis.Redis.from_url(
            self.app.conf.broker_url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
        ) as broker:
            wait_until_it_takes(broker)
        return super().connect()


def wait_until_it_takes(broker: redis.Redis) -> None:
    """Until something can be written, or nobody answers: Celery itself waits for a broker that is away.

    Raises:
        WorkerShutdown, WorkerTerminate: the worker was asked to end meanwhile.
    """
    refused = False
    while True:
        maybe_shutdown()
        try:
            broker.set(_KEY, "", ex=_KEPT_SECONDS)
        except redis.exceptions.NoPermissionError:
            return  # that will not change by waiting, and says nothing of other keys
        except redis.ResponseError as error:
            if not refused:
                log.warning("the broker takes nothing", error=str(error))
            refused = True
            time.sleep(_ASK_SECONDS)
            continue
        except (redis.RedisError, OSError):
            return
        if refused:
            log.info("the broker takes work again")
        return
