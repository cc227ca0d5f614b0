"""The stack as rounds of faults need it: `python -m tests.faults.stack --data DIR`.

It starts a program again however often it dies: a few rounds kill one more often than a minute of real life does. And
with an address in `LEDGER_ELSEWHERE` its ledger is in the PostgreSQL there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial

from core.config import Settings
from core.stack import __main__, services, supervisor
from core.stack.credentials import Credentials
from core.stack.folder import DataFolder
from core.stack.restarts import Restarts

_as_usual = services.settings_of


def _elsewhere(
    folder: DataFolder, ports: Mapping[str, int], credentials: Credentials, environ: Mapping[str, str]
) -> Settings:
    settings = _as_usual(folder, ports, credentials, environ)
    address = os.environ.get("LEDGER_ELSEWHERE")
    return settings.model_copy(update={"database_url": address}) if address else settings


if __name__ == "__main__":
    services.settings_of = _elsewhere
    supervisor.Restarts = partial(Restarts, most=1_000_000)  # type: ignore[assignment, attr-defined]
    sys.exit(__main__.main())
