"""Models, their history and what deleting one does, as the shell shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from core.cli.showing import moment, one_line, print_table, size
from core.client.answers import ComparisonView
from core.client_views import ModelView
from core.models.metric_words import in_order, metric_interval, metric_number, metric_title


def print_models(models: Sequence[ModelView]) -> None:
    rows = [("MODEL", "KIND", "SIZE", "CREATED", "ALIASES", "HOW IT FARED")]
    rows += [
        (
            one_line(model.label),
            one_line(model.kind),
            size(model.size_bytes),
            moment(model.created_at),
            one_line(", ".join(model.aliases)),
            _headline(model.raw.get("headline")),
        )
        for model in models
    ]
    print_table(rows)


def print_model(
    model: ModelView, lineage: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]
) -> None:
    also = f", also {', '.join(model.aliases)}" if model.aliases else ""
    typer.echo(one_line(f"{model.label}{also}"))
    typer.echo(one_line(f"  {model.kind}, {size(model.size_bytes)}, created {moment(model.created_at)}"))
    _print_lineage(lineage)
    for evaluation in evaluations:
        typer.echo(one_line(f"  on {evaluation['dataset']}, {evaluation['split']}:"))
        for name in in_order(evaluation["metrics"]):
            metric = evaluation["metrics"][name]
            interval = metric_interval(name, metric)
            told = f"{metric_title(name)}: {metric_number(name, metric['value'])}"
            typer.echo(one_line(f"    {told}{f' ({interval})' if interval else ''}"))
    for file in model.files:
        typer.echo(one_line(f"  {file.name}  {size(file.size_bytes)}  sha256 {file.sha256}"))


def print_move(move: Mapping[str, Any]) -> None:
    before = f", before that at {move['before']}" if move["before"] else ""
    typer.echo(one_line(f"{move['alias']} points at {move['after']}{before}."))


def print_moves(alias: str, moves: Sequence[Mapping[str, Any]]) -> None:
    if not moves:
        typer.echo(one_line(f"{alias} was never moved."))
        return
    rows = [("WHEN", "WHAT", "FROM", "TO", "BY", "WHY")]
    rows += [
        (
            moment(move["at"]),
            move["kind"],
            one_line(move["before"] or ""),
            one_line(move["after"]),
            one_line(move["actor_name"]),
            one_line(move["reason"]),
        )
        for move in moves
    ]
    print_table(rows)


def print_comparison(found: ComparisonView) -> None:
    if not found["data"]:
        typer.echo(one_line(f"{found['first']} and {found['second']} were never measured alike."))
        return
    for alike in found["data"]:
        typer.echo(one_line(f"On {alike['dataset']}, {alike['split']}:"))
        rows = [("METRIC", found["first"], found["second"], "BETTER")]
        for metric in alike["metrics"]:
            first, second = (
                metric_number(metric["name"], one["value"]) if one else "-"
                for one in (metric["first"], metric["second"])
            )
            better = {"first": found["first"], "second": found["second"]}.get(metric["better"] or "", "")
            sure = "" if not better or metric["certain"] else " (not certain)"
            rows.append((one_line(metric["title"]), first, second, one_line(better) + sure))
        print_table(rows)


def print_deletion(found: Mapping[str, Any]) -> None:
    if found["dry_run"]:
        for use in found["in_use"]:
            typer.echo(one_line(f"  {use}"))
        stays = "It is in use and would stay." if found["in_use"] else "It would be deleted."
        typer.echo(one_line(f"{found['model']}: {stays} {size(found['freed_bytes'])} are its own."))
    else:
        typer.echo(one_line(f"{found['model']} is deleted; {size(found['freed_bytes'])} are free."))


def _print_lineage(lineage: Mapping[str, Any]) -> None:
    facts = lineage.get("facts") or {}
    if lineage.get("dataset"):
        typer.echo(
            one_line(
                f"  trained on {lineage['dataset']}, sha256 {facts.get('dataset', {}).get('sha256', '')}"
            )
        )
    if lineage.get("job"):
        typer.echo(one_line(f"  by job {lineage['job']}"))
    if lineage.get("parent"):
        typer.echo(one_line(f"  began with the weights of {_related(lineage['parent'])}"))
    if lineage.get("children"):
        typer.echo(one_line(f"  weights for {', '.join(_related(child) for child in lineage['children'])}"))
    if code := facts.get("code"):
        revision = f", revision {code['revision']}" if code.get("revision") else ""
        typer.echo(one_line(f"  code {code.get('version')}{revision}, sources {code.get('sources_sha256')}"))


def _related(model: Mapping[str, Any]) -> str:
    return f"{model['label']} (deleted)" if model["deleted"] else str(model["label"])


def _headline(best: Mapping[str, Any] | None) -> str:
    if best is None:
        return ""
    interval = metric_interval(best["name"], best)
    more = f" ({interval})" if interval else ""
    return one_line(f"{best['title']}: {metric_number(best['name'], best['value'])}{more}, {best['dataset']}")
