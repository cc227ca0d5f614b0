"""What scripts ask of the registry: models, what is known of them, and the aliases that point at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

from core.client import answers
from core.client.asking import LONG_TIMEOUTS, Asking, file_place, given, json_of, place
from core.client_views import ModelView


class Models(Asking):
    def models(self) -> list[ModelView]:
        """Every model version, newest first."""
        return [ModelView.read(row) for row in json_of(self._ask("GET", place("models")))["data"]]

    def model(self, reference: str) -> ModelView:
        """The version that an alias, a name or `name@version` stands for, with its files."""
        return self._model("GET", place("models", reference))

    def send_model_file(self, file: IO[bytes]) -> str:
        """Uploads one file of a model; answers the SHA-256 of what arrived."""
        answer = self._send(place("models", "files"), file, timeout=LONG_TIMEOUTS)
        return str(json_of(answer)["sha256"])

    def register_model(self, name: str, files: Mapping[str, str]) -> ModelView:
        """Makes a version of files that were sent before, given by name with their SHA-256."""
        rows = [{"name": file, "sha256": sha256} for file, sha256 in files.items()]
        return self._model("POST", place("models"), json={"name": name, "files": rows})

    def pair_models(self, name: str, *, encoder: str, decoder: str) -> ModelView:
        """Puts two networks in a row, as one model that draws."""
        body = {"name": name, "encoder": encoder, "decoder": decoder}
        return self._model("POST", place("models", "pairs"), json=body)

    def stream_model_file(self, reference: str, name: str) -> Iterator[bytes]:
        """A file of a version, piece by piece."""
        return self.stream(file_place(name, "models", reference, "files"))

    def stream_model(self, reference: str) -> Iterator[bytes]:
        """The folder that `draw --model` takes, as a ZIP."""
        return self.stream(place("models", reference, "export"))

    def delete_model(self, label: str, *, reason: str = "", dry_run: bool = False) -> answers.DeletionView:
        """Deletes a version given as `name@version`; answers what went, or would go."""
        wanted = given({"reason": reason, "dry_run": dry_run})
        return self._read(answers.DeletionView, "DELETE", place("models", label), params=wanted)

    def lineage(self, label: str) -> answers.LineageView:
        """What a version was made of."""
        return self._read(answers.LineageView, "GET", place("models", label, "lineage"))

    def model_evaluations(self, label: str) -> list[answers.EvaluationOfModel]:
        """How a version fared, newest first."""
        path = place("models", label, "evaluations")
        return self._read(answers.EvaluationsOfModel, "GET", path)["data"]

    def compare_models(self, label: str, other: str) -> answers.ComparisonView:
        """Two versions beside each other, wherever both were measured under the same conditions."""
        return self._read(answers.ComparisonView, "GET", place("models", label, "comparison", other))

    def aliases(self) -> list[answers.AliasView]:
        """What every alias points at."""
        return self._read(answers.AliasList, "GET", place("aliases"))["data"]

    def promote(
        self, label: str, alias: str = "production", *, reason: str = "", force: bool = False
    ) -> answers.MoveView:
        """Points an alias at a version; answers the move."""
        body = {"alias": alias, "reason": reason, "force": force}
        return self._read(answers.MoveView, "POST", place("models", label, "promote"), json=body)

    def roll_back(self, alias: str = "production", *, reason: str = "") -> answers.MoveView:
        """Points an alias where it pointed before; answers the move."""
        # The version it points at goes along: a request that is sent again after a hiccup moves nothing twice.
        now = next((one["model"] for one in self.aliases() if one["alias"] == alias), None)
        body = {"version": now, "reason": reason}
        return self._read(answers.MoveView, "POST", place("aliases", alias, "rollback"), json=body)

    def moves(self, alias: str = "production", *, limit: int = 50) -> Iterator[answers.MoveView]:
        """The newest moves of an alias first, at most `limit` of them."""
        return self._rows(place("aliases", alias, "moves"), limit)

    def _model(self, method: str, path: str, **extra: Any) -> ModelView:
        return ModelView.read(json_of(self._ask(method, path, **extra)))
