"""The catalogue of scripts: what `js/words.js` looks up, as one small script for each language that is there.

It is a file of its own and not a part of pages, so that a browser fetches it once; English needs none. It is a script
and not data, so that it is there before the first module runs.
"""

from __future__ import annotations

import json
from gettext import NullTranslations

from dashboard.message_sources import of_scripts

# Rules of plurals look at the last two digits, and at whether there are more; js/words.js knows of this number, too.
_NUMBERS = 200


def script_of(catalogue: NullTranslations) -> str:
    """What a page in this language loads; messages that the catalogue lacks are left out."""
    found = list(of_scripts())
    counted = sorted({(one.text, one.plural) for one in found if one.plural is not None})
    words: dict[str, str | list[str]] = {
        one.text: said
        for one in found
        if one.plural is None and (said := catalogue.gettext(one.text)) != one.text
    }
    # Numbers for which all messages are said in the same form belong together, whatever the language's rule is.
    forms: dict[tuple[str, ...], int] = {}
    by_number = ""
    for number in range(_NUMBERS):
        said_then = tuple(catalogue.ngettext(one, many, number) for one, many in counted)
        by_number += str(forms.setdefault(said_then, len(forms)))
    for place, (one, _) in enumerate(counted):
        words[one] = [said_then[place] for said_then in forms]
    told = json.dumps({"words": words, "forms": by_number}, ensure_ascii=False, separators=(",", ":"))
    return f"globalThis.voicesketchWords = {told};\n"
