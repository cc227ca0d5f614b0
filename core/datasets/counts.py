"""A plan in numbers, for those who want to know before anything is sent."""

from __future__ import annotations

from collections import Counter
from typing import Any

from core.datasets.plan import Plan
from core.datasets.recipes import SPLITS

_EXAMPLES = 3


def count_plan(plan: Plan) -> dict[str, Any]:
    """People, inputs by side and part, and what is left out by reason with some of each."""
    split_of = {person.id: person.split for person in plan.people}
    entries = Counter((split_of[entry.person], entry.side) for entry in plan.entries)
    people = Counter(person.split for person in plan.people)
    reasons = Counter(one.reason for one in plan.left_out)
    return {
        "layout": plan.layout,
        "people": len(plan.people),
        "entries": len(plan.entries),
        "shards": len(plan.shards()),
        "by_split": {
            split: {
                "people": people[split],
                "voices": entries[split, "voice"],
                "faces": entries[split, "face"],
            }
            for split in SPLITS
        },
        "left_out": {
            reason: {
                "count": count,
                "examples": [
                    {"key": one.key, "message": one.message} for one in plan.left_out if one.reason == reason
                ][:_EXAMPLES],
            }
            for reason, count in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        },
        "plan_sha256": plan.sha256,
    }
