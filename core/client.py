"""The service as a script sees it: a thin, typed client of the API v1.

It knows addresses, retries and errors, and nothing of folders, progress bars or exit codes. What the service
refuses comes back as the very error of `core/errors.py` that was raised over there, found again by its code.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from core.client_views import DatasetView, ItemView, JobView, ModelView
from core.errors import (
    Conflict,
    InvalidManifest,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Permanent,
    Retryable,
    ServiceUnreachable,
    StorageUnavailable,
    TooLarge,
    VoicesketchError,
)
from core.schedule_calls import ScheduleCalls
from core.specs import NewItem

# A restart of the service answers 502 to 504 for a moment; five tries in 4.5 s ride over it.
_RETRIES = Retry(
    total=5,
    read=2,
    backoff_factor=0.3,
    status_forcelist=(502, 503, 504),
    # Every change of ours may be sent twice: uploads by content, jobs by their key, moves by their state.
    allowed_methods=None,
    raise_on_status=False,
)
_TIMEOUTS = (5.0, 120.0)  # seconds to connect, seconds between two bytes
# A model of some gigabytes is passed on to the object store before the answer comes.
_MODEL_TIMEOUTS = (5.0, 1800.0)
_ITEMS_AT_ONCE = 500
_READ_AT_ONCE = 256 * 1024

_BY_CODE: dict[str, type[VoicesketchError]] = {
    kind.code: kind
    for kind in (
        InvalidManifest,
        InvalidRequest,
        NotFound,
        NotAllowed,
        Conflict,
        TooLarge,
        StorageUnavailable,
    )
}
_BY_STATUS: dict[int, type[VoicesketchError]] = {
    400: InvalidRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidRequest,
}


class Client(ScheduleCalls):
    """One service and one token. Safe to use from several threads.

    Raises (every method):
        ServiceUnreachable: nothing answers there, or something that is no voicesketch.
        NotAllowed: the token is unknown or may not do this.
        VoicesketchError: whatever the service said, by its code.
    """

    def __init__(self, url: str, token: str, *, retries: Retry | None = None) -> None:
        self.url = url.rstrip("/")
        self._origin = urlsplit(self.url)[:2]
        self._token = token
        self._retries = retries or _RETRIES
        self._threads = threading.local()

    def has_recording(self, sha256: str) -> bool:
        """Whether this user has already sent that content."""
        try:
            self._ask("HEAD", f"/api/v1/recordings/{sha256}").close()
        except NotFound:
            return False
        return True

    def send_recording(self, file: IO[bytes]) -> str:
        """Uploads from a file's current position to its end; answers the SHA-256 of what arrived."""
        return str(_json(self._send("/api/v1/recordings", file))["recording"])

    def create_job(
        self,
        items: Sequence[NewItem],
        *,
        idempotency_key: str,
        model: str | None = None,
        name: str = "",
        priority: int = 0,
        seed: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> JobView:
        """Submits a job; sent twice with one key, it is made once."""
        body: dict[str, Any] = {
            "kind": "infer",
            "name": name,
            "priority": priority,
            "seed": seed,
            "items": [item.model_dump(exclude_none=True) for item in items],
            "labels": dict(labels or {}),
        }
        if model is not None:
            body["model"] = model
        return self._job("POST", "/api/v1/jobs", json=body, headers={"Idempotency-Key": idempotency_key})

    def job(self, job_id: str) -> JobView:
        return self._job("GET", _job_path(job_id))

    def jobs(self, *, limit: int = 50, state: str | None = None) -> Iterator[JobView]:
        """The newest jobs first, at most `limit` of them."""
        before: str | None = None
        while limit > 0:
            wanted = {"limit": min(limit, 100), "before": before, "state": state}
            page = _json(self._ask("GET", "/api/v1/jobs", params=_given(wanted)))
            for row in page["data"][:limit]:
                yield JobView.read(row)
            limit -= len(page["data"])
            before = page.get("next")
            if before is None or not page["data"]:
                return

    def cancel(self, job_id: str) -> JobView:
        return self._job("POST", _job_path(job_id, "cancel"))

    def pause(self, job_id: str) -> JobView:
        return self._job("POST", _job_path(job_id, "pause"))

    def resume(self, job_id: str) -> JobView:
        return self._job("POST", _job_path(job_id, "resume"))

    def retry(self, job_id: str, which: str = "failed") -> tuple[int, JobView]:
        """Puts `failed`, `cancelled` or `unfinished` items back in the queue; answers how many."""
        answer = _json(self._ask("POST", _job_path(job_id, "retry"), json={"which": which}))
        return int(answer["retried"]), JobView.read(answer["job"])

    def items(self, job_id: str, *, state: str | None = None) -> Iterator[ItemView]:
        """Every item in the order of submission, read page by page."""
        after: Any = None
        while True:
            wanted = {"limit": _ITEMS_AT_ONCE, "after": after, "state": state}
            page = _json(self._ask("GET", _job_path(job_id, "items"), params=_given(wanted)))
            yield from map(ItemView.read, page["data"])
            after = page.get("next")
            if after is None:
                return

    def stream_results(self, job_id: str) -> Iterator[bytes]:
        """`results.csv`, piece by piece."""
        return self.stream(_job_path(job_id, "results.csv"))

    def fetch(self, address: str, *, unless_sha256: str | None = None) -> bytes | None:
        """The bytes behind a link of ours; None where they are still those of `unless_sha256`."""
        headers = {"If-None-Match": f'"{unless_sha256}"'} if unless_sha256 else {}
        answer = self._ask("GET", address, headers=headers)
        return None if answer.status_code == 304 else answer.content

    def stream(self, address: str) -> Iterator[bytes]:
        """The bytes behind a link of ours, piece by piece."""
        with self._ask("GET", address, stream=True) as answer:
            try:
                yield from answer.iter_content(_READ_AT_ONCE)
            except requests.RequestException as error:
                raise self._unreachable() from error

    def me(self) -> dict[str, Any]:
        """Who asks, what they may do, and the limits they work under."""
        return dict(_json(self._ask("GET", "/api/v1/me")))

    def models(self) -> list[ModelView]:
        """Every model version, newest first."""
        return [ModelView.read(row) for row in _json(self._ask("GET", "/api/v1/models"))["data"]]

    def model(self, reference: str) -> ModelView:
        """The version that an alias, a name or `name@version` stands for, with its files."""
        return self._model("GET", f"/api/v1/models/{quote(reference, safe='')}")

    def send_model_file(self, file: IO[bytes]) -> str:
        """Uploads one file of a model; answers the SHA-256 of what arrived."""
        answer = self._send("/api/v1/models/files", file, timeout=_MODEL_TIMEOUTS)
        return str(_json(answer)["sha256"])

    def register_model(self, name: str, files: Mapping[str, str]) -> ModelView:
        """Makes a version of files that were sent before, given by name with their SHA-256."""
        rows = [{"name": file, "sha256": sha256} for file, sha256 in files.items()]
        return self._model("POST", "/api/v1/models", json={"name": name, "files": rows})

    def pair_models(self, name: str, *, encoder: str, decoder: str) -> ModelView:
        """Puts two networks in a row, as one model that draws."""
        body = {"name": name, "encoder": encoder, "decoder": decoder}
        return self._model("POST", "/api/v1/models/pairs", json=body)

    def prepare_dataset(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for a dataset of files that were sent before (`core.dataset_requests.NewDataset`)."""
        headers = {"Idempotency-Key": idempotency_key}
        timeouts = _MODEL_TIMEOUTS  # a plan of a hundred thousand files takes a while
        return self._job("POST", "/api/v1/datasets", json=wanted, headers=headers, timeout=timeouts)

    def dataset(self, label: str) -> DatasetView:
        """A version by `name@version`, or the newest of a name, with its files."""
        return DatasetView.read(_json(self._ask("GET", f"/api/v1/datasets/{quote(label, safe='')}")))

    def datasets(self, *, limit: int = 50) -> Iterator[DatasetView]:
        """The newest versions first, at most `limit` of them."""
        before: str | None = None
        while limit > 0:
            page = _json(
                self._ask(
                    "GET", "/api/v1/datasets", params=_given({"limit": min(limit, 100), "before": before})
                )
            )
            yield from map(DatasetView.read, page["data"][:limit])
            limit -= len(page["data"])
            before = page.get("next")
            if before is None or not page["data"]:
                return

    def train(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for a training: the fields of `core.training_specs.TrainSpec`, with `name` and `priority`."""
        return self._program("trainings", wanted, idempotency_key)

    def evaluate(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for an evaluation: the fields of `EvaluateSpec`, with `name` and `priority`."""
        return self._program("evaluations", wanted, idempotency_key)

    def analyse(self, wanted: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        """Asks for an analysis: the fields of `AnalyseSpec`, with `name` and `priority`."""
        return self._program("analyses", wanted, idempotency_key)

    def check_training(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What would keep a training from being started: `ok`, `problems`, and the whole `spec` if nothing does."""
        return dict(_json(self._ask("POST", "/api/v1/trainings/check", json=wanted)))

    def training_presets(self) -> list[dict[str, Any]]:
        """Recipes to start from, by `name`."""
        return list(_json(self._ask("GET", "/api/v1/trainings/presets"))["data"])

    def again(self, job_id: str, *, idempotency_key: str) -> JobView:
        """Starts a training, evaluation or analysis over, as a new job."""
        return self._job("POST", _job_path(job_id, "again"), headers={"Idempotency-Key": idempotency_key})

    def training(self, job_id: str) -> dict[str, Any]:
        """Where the program of a job stands, and what it ended with."""
        return dict(_json(self._ask("GET", _job_path(job_id, "training"))))

    def curves(self, job_id: str, *, after: int = -1) -> dict[str, Any]:
        """Points of all curves behind a step."""
        return dict(_json(self._ask("GET", _job_path(job_id, "curves"), params={"after": after})))

    def _program(self, what: str, wanted: Mapping[str, Any], key: str) -> JobView:
        return self._job("POST", f"/api/v1/{what}", json=wanted, headers={"Idempotency-Key": key})

    def _model(self, method: str, path: str, **extra: Any) -> ModelView:
        return ModelView.read(_json(self._ask(method, path, **extra)))

    def _job(self, method: str, path: str, **extra: Any) -> JobView:
        return JobView.read(_json(self._ask(method, path, **extra)))

    def _send(self, path: str, file: IO[bytes], **extra: Any) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        at = file.tell()
        is_empty = file.seek(0, os.SEEK_END) == at
        file.seek(at)
        # An empty file object would be sent without a length, and read by some servers for ever.
        return self._ask("PUT", path, data=b"" if is_empty else file, headers=headers, **extra)

    def _ask(self, method: str, address: str, **extra: Any) -> requests.Response:
        url = urljoin(self.url + "/", address)
        if urlsplit(url)[:2] != self._origin:
            # The token is for one service; a link to anywhere else must not carry it away.
            raise InvalidRequest(f"The service sent a link to another place: {url}")
        extra.setdefault("timeout", _TIMEOUTS)
        try:
            answer = self._session().request(method, url, allow_redirects=False, **extra)
        except requests.RequestException as error:
            raise self._unreachable() from error
        if answer.status_code >= 400:
            with answer:
                raise self._error(answer)
        if answer.is_redirect:
            answer.close()
            raise self._unreachable()
        return answer

    def _session(self) -> requests.Session:
        # One for each thread: requests does not promise that a session may be shared.
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.trust_env = False  # neither ~/.netrc nor a proxy may come between us and the service
            session.headers["Authorization"] = f"Bearer {self._token}"
            adapter = HTTPAdapter(max_retries=self._retries)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
        return session

    def _unreachable(self) -> ServiceUnreachable:
        return ServiceUnreachable(f"No voicesketch answers at {self.url}; start one with: voicesketch up")

    def _error(self, answer: requests.Response) -> VoicesketchError:
        problem = _problem(answer)
        status = answer.status_code
        kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status)
        detail = str(problem.get("detail") or problem.get("title") or "")
        if kind is NotAllowed and not detail:
            detail = f"The service at {self.url} does not accept this token for that."
        if kind is None:
            if status in (502, 503, 504):
                return self._unreachable()
            kind = Retryable if status >= 500 or status == 429 else Permanent
            detail = detail or f"The service at {self.url} answered {status} {answer.reason}."
        return kind(detail or None)


def _job_path(job_id: str, *more: str) -> str:
    return "/".join(("/api/v1/jobs", quote(job_id, safe=""), *more))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise ServiceUnreachable(
            f"What answers at {answer.url} is no voicesketch; check --url, or start one with: voicesketch up"
        ) from error


def _problem(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except (requests.RequestException, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
