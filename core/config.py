"""Settings enter the program here, once, and are handed down from the entry points.

No other module reads the environment. `docs/configuration.md` lists every setting; a test keeps the two equal.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from core.errors import InvalidSettings

PREFIX = "VOICESKETCH_"
# Names that settings had before, and have now; both are read until the version that docs/upgrading.md names.
FORMER_NAMES: Mapping[str, str] = {}
BUNDLED_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "default"


class Settings(BaseModel):
    """One immutable value for the whole process; the environment name is the field's, upper-cased, with a prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(description="SQLAlchemy address of the ledger: SQLite or PostgreSQL.")
    broker_url: SecretStr = Field(description="Redis-protocol address of the doorbell, with its password.")
    s3_endpoint_url: str | None = Field(None, description="S3 endpoint; empty means Amazon's own.")
    s3_public_url: str | None = Field(
        None, description="S3 endpoint as browsers reach it; empty where they cannot."
    )
    s3_bucket: str = Field("voicesketch", description="Bucket that holds recordings and pictures.")
    s3_region: str = Field("us-east-1", description="Region named in S3 signatures.")
    s3_access_key: SecretStr | None = Field(None, description="S3 access key; empty uses boto3's own search.")
    s3_secret_key: SecretStr | None = Field(None, description="S3 secret key.")
    s3_sources: str = Field(
        "",
        description="What jobs may read of the same store's other buckets: `s3://bucket/folder`, separated by commas.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs the dashboard's sessions; at least 32 characters. More lines: older keys, still believed.",
    )
    public_url: str = Field("http://127.0.0.1:8000", description="Where people reach the dashboard.")
    trusted_hosts: str = Field(
        "127.0.0.1,localhost", description="Host names the dashboard answers to, separated by commas."
    )
    model_folder: Path = Field(
        BUNDLED_WEIGHTS, description="Folder of the model that is registered at first start."
    )
    cache_folder: Path = Field(
        Path("~/.cache/voicesketch"), description="Where a worker keeps the model files that it fetched."
    )
    max_dataset_cache_bytes: int = Field(
        100 * 2**30, gt=0, description="How much of its disk a worker keeps datasets on, in bytes."
    )
    device: str = Field("auto", description="Where networks run: auto, cpu, cuda or cuda:N.")
    queue: str = Field("gpu", description="The queue a worker listens on.")
    max_upload_bytes: int = Field(512 * 2**20, gt=0, description="Largest recording taken, in bytes.")
    max_model_bytes: int = Field(8 * 2**30, gt=0, description="Largest file of a model taken, in bytes.")
    max_recording_seconds: float = Field(3600.0, gt=0, description="Longest recording drawn, in seconds.")
    max_items_per_job: int = Field(100_000, gt=0, description="Most recordings one job may hold.")
    quota_items_at_once: str = Field(
        "",
        description="Most recordings of one person that wait or are at work; `ROLE=NUMBER,…`, or a number.",
    )
    quota_items_a_day: str = Field(
        "", description="Most recordings of one person in jobs of 24 hours; in the same form."
    )
    quota_jobs_at_once: str = Field(
        "", description="Most jobs of one person that have not ended; in the same form."
    )
    quota_stored_bytes: str = Field(
        "", description="Most bytes of recordings of one person; in the same form."
    )
    price_per_gpu_hour: float | None = Field(
        None, ge=0, description="What an hour of a worker with a GPU costs; empty: no costs are shown for it."
    )
    price_per_cpu_hour: float | None = Field(
        None, ge=0, description="What an hour of a worker that draws on processors costs."
    )
    price_per_gb_month: float | None = Field(
        None, ge=0, description="What storing 10⁹ bytes for a month costs."
    )
    price_currency: str = Field("EUR", max_length=8, description="What prices are in.")
    chunk_items: int = Field(32, ge=1, le=256, description="Items a worker claims at a time.")
    max_attempts: int = Field(
        5, ge=1, description="Attempts after which an item whose worker keeps dying is given up."
    )
    lease_seconds: float = Field(60.0, gt=0, description="How long a claim lasts without a heartbeat.")
    heartbeat_seconds: float = Field(15.0, gt=0, description="How often a worker renews its claims.")
    tick_seconds: float = Field(
        1.0, gt=0, description="How often the ticker publishes, reconciles and reaps."
    )
    webhooks_to_private: bool = Field(
        False, description="Whether notes about runs may go to loopback and private addresses."
    )
    requests_per_minute: int = Field(
        6000, ge=0, description="How often each token, person or unknown address may ask; 0: without limit."
    )
    sign_ins_per_minute: int = Field(
        20, ge=0, description="How often one address may try to sign in; 0: without limit."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the logs: `text` or `json`, one object a line."
    )
    sentry_dsn: SecretStr | None = Field(
        None, description="Where errors of ours are told, as Sentry names places; empty for nowhere."
    )
    trace_endpoint: str = Field(
        "",
        description="Where traces are sent, by OTLP over HTTP: `http://collector:4318`; empty for nowhere.",
    )
    trace_share: float = Field(1.0, ge=0, le=1, description="Share of jobs that are traced, from 0 to 1.")
    trusted_proxies: int = Field(
        0, ge=0, description="How many reverse proxies stand before the dashboard and tell who asks."
    )
    oidc_issuer: str | None = Field(
        None, description="Address of an OpenID Connect service to sign in by; empty for none."
    )
    oidc_client_id: str = Field("", description="What that service calls the dashboard.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Secret that the service gave; empty for a public client."
    )
    oidc_title: str = Field("single sign-on", description="What people call the service.")
    oidc_role_claim: str = Field("groups", description="What the service says about people's groups in.")
    oidc_roles: str = Field(
        "",
        description="Roles by group, such as `staff=submitter,vision-team=operator`; empty: admins decide.",
    )
    oidc_new_role: str = Field(
        "viewer", description="Role of those of no such group; `nobody` does not let them in."
    )
    ring_again_seconds: float = Field(
        30.0, gt=0, description="After this long unclaimed, a queued job is rung again."
    )

    @property
    def secret_keys(self) -> list[str]:
        """The key that signs sessions, and after it those whose signatures are believed as well."""
        return [line.strip() for line in self.secret_key.get_secret_value().splitlines() if line.strip()]


def load_settings(
    environ: Mapping[str, str] | None = None, *, former_names: Mapping[str, str] = FORMER_NAMES
) -> Settings:
    """Builds the settings from `VOICESKETCH_*` variables; `VOICESKETCH_X_FILE` names a file that holds X.

    Raises:
        InvalidSettings: naming every variable that is missing, unknown or not usable.
    """
    source = os.environ if environ is None else environ
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in source.items()
        if name.startswith(PREFIX) and value != ""
    }
    given = _with_names_of_now(given, former_names)
    values = {name: value for name, value in given.items() if name in Settings.model_fields}
    values |= _read_files(given)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg'].lower()}"
            for problem in error.errors()
        )
        raise InvalidSettings(f"The settings cannot be used: {problems}.") from error


def _with_names_of_now(given: Mapping[str, str], former_names: Mapping[str, str]) -> dict[str, str]:
    """What was given under a setting's former name, under the name that it has now."""
    renamed = dict(given)
    for former, name in former_names.items():
        for old, new in ((former, name), (f"{former}_file", f"{name}_file")):
            if old not in renamed:
                continue
            value = renamed.pop(old)
            former_variable, variable = f"{PREFIX}{old.upper()}", f"{PREFIX}{new.upper()}"
            if renamed.setdefault(new, value) != value:
                raise InvalidSettings(
                    f"{former_variable} is the former name of {variable}, and both are set: keep the second."
                )
            logging.getLogger(__name__).warning(
                "%s is now called %s; the former name will not be read for ever (docs/upgrading.md)",
                former_variable,
                variable,
            )
    return renamed


def _read_files(given: Mapping[str, str]) -> dict[str, str]:
    """Values that lie in files, as secrets do where containers run."""
    values = {}
    for name, path in given.items():
        meant = name.removesuffix("_file")
        if meant == name or name in Settings.model_fields or meant not in Settings.model_fields:
            continue
        variable = f"{PREFIX}{meant.upper()}"
        if meant in given:
            raise InvalidSettings(f"{variable} and {variable}_FILE are both set: keep one of them.")
        try:
            values[meant] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettings(f"{variable}_FILE names {path}, which cannot be read: {error}.") from error
    return values


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables that make a child process load these very settings."""
    environment = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            environment[PREFIX + name.upper()] = str(value)
    return environment
