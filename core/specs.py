"""What a job is asked to do, as checked data. A spec is kept on the job's row and read back by whoever runs it."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class InferSpec(BaseModel):
    """Draw a face for each recording."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["infer"] = "infer"
    model: str = Field("production", max_length=160, description="An alias, a name, or name@version.")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Of the noise, for models that draw more than one face of a voice."
    )

    def parameters_sha256(self) -> str:
        """Names everything, besides recording and model version, that the picture depends on."""
        # What is as usual is not named: faces drawn before a parameter existed stay good.
        parameters: dict[str, object] = {"seed": self.seed} if self.seed else {}
        return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()


# Jobs whose items are carried out by programs of their own, one at a time in a worker.
PROGRAM_KINDS = ("train", "evaluate", "analyse")

DATASET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class PrepareSpec(BaseModel):
    """Prepare a dataset version by a plan that is kept in the object store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prepare"] = "prepare"
    dataset: str = Field(
        pattern=DATASET_NAME, max_length=80, description="Its name; the version follows by itself."
    )
    plan_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class NewItem(BaseModel):
    """One line of a job: a recording that is already here, or the reason why it could not be sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(
        max_length=1000, description="Your own name for this line; it comes back in the results."
    )
    name: str = Field("", max_length=1000, description="File name, for people to read.")
    recording: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of an uploaded recording."
    )
    error_code: str | None = Field(None, max_length=40, description="Why there is no recording.")
    error_message: str | None = Field(None, max_length=1000)

    @field_validator("key", "name", "error_message", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        """File names may hold what no database keeps: NUL, and bytes that are not UTF-8."""
        if isinstance(value, str):
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        return value
