"""Whether a drawn face is read as the true one is: gender and age.

Readings are statements of a reader about pictures, and not about people: a reader has its own errors and knows two
genders only. A share of agreement says that two pictures look alike to it in this one respect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.ml.metrics.intervals import Numbers

_GENDERS = {
    "male": ("m", "male", "man", "men", "boy", "masculine"),
    "female": ("f", "female", "woman", "women", "girl", "feminine"),
}


def gender_word(label: str | None) -> str | None:
    """`male` or `female` of the words in use for them in datasets; None for all others."""
    word = (label or "").strip().lower()
    return next((name for name, words in _GENDERS.items() if word in words), None)


def age_decade(age: float | str | None) -> int | None:
    """The decade that an age is in: 34, "34" and "30s" are 30. None for what is no age."""
    try:
        years = float(str(age).strip().lower().removesuffix("s"))
    except ValueError:
        return None
    return int(years // 10) * 10 if 0 <= years < 130 else None


def agreement(ours: Sequence[str | int | None], theirs: Sequence[str | int | None]) -> Numbers:
    """1 where both say the same, 0 where they do not or ours says nothing, NaN where there is nothing to agree with.

    Args:
        ours, theirs: readings of the drawn and of the true faces, N each.

    Returns:
        `[N]`.
    """
    return np.array(
        [
            np.nan if wanted is None else float(said == wanted)
            for said, wanted in zip(ours, theirs, strict=True)
        ]
    )


def confusion(
    ours: Sequence[str | int | None], theirs: Sequence[str | int | None]
) -> dict[str, dict[str, int]]:
    """How often what is read as what: counts by the true face's reading, then by the drawn one's (`none`: no face)."""
    table: dict[str, dict[str, int]] = {}
    for said, wanted in zip(ours, theirs, strict=True):
        if wanted is not None:
            row = table.setdefault(str(wanted), {})
            word = "none" if said is None else str(said)
            row[word] = row.get(word, 0) + 1
    return {wanted: dict(sorted(row.items())) for wanted, row in sorted(table.items())}
