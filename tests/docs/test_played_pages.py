"""Commands are found in pages with what they are said to print, and what was printed is held to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.played_pages import agrees, blocks

PAGE = """# A page

Make a place, then `voicesketch up` in it, never in `another/place`.

```sh
mkdir place   # anywhere
voicesketch submit --name "first try" \\
    --wait
# nothing but a comment
```

It says so and ends with 1:

```text
1 of 2 in 3.5 s. Job job_….
```

1. In a second terminal:

   ```sh
   voicesketch up
   ```
"""


def test_commands_are_found_in_their_order_with_what_is_said_of_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    within, submit, up = blocks(page)
    assert within.commands == ("voicesketch up",)
    assert [one.is_within for one in (within, submit, up)] == [True, False, False]
    assert submit.commands == (
        "mkdir place   # anywhere",
        'voicesketch submit --name "first try" --wait',
    )
    assert submit.shown == "1 of 2 in 3.5 s. Job job_….\n"
    assert (submit.ends_with, submit.in_a_second_terminal) == (1, False)
    assert up.commands == ("voicesketch up",)
    assert (up.ends_with, up.in_a_second_terminal, up.shown) == (0, True, "")


@pytest.mark.parametrize(
    ("printed", "is_so"),
    [
        ("sending 2/2\n1 of 2 in 3.5 s. Job job_01.\n", True),
        ("1 of 2 in 412 s. Job job_01.\nmore\n", True),
        ("2 of 2 in 3.5 s. Job job_01.\n", False),
        ("1 of 2 in 3.5 s. Job job_01. Or not\n", False),
        ("It was 1 of 2 in 3.5 s. Job job_01.\n", False),
        ("", False),
    ],
)
def test_what_a_page_shows_is_held_to_what_was_printed(printed: str, is_so: bool) -> None:
    assert agrees("1 of 2 in 3.5 s. Job job_….\n", printed) is is_so


def test_lines_that_a_page_shows_follow_each_other() -> None:
    assert agrees("a\n  b …\n", "before\na\n  b and c\nafter\n")
    assert not agrees("a\n  b …\n", "a\nsomething\n  b and c\n")
