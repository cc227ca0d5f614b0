"""What goes wrong again and again where voicesketch is set up, found by asking the real parts: one file a concern.

Each file has functions that answer findings. A finding has a code that never changes, a sentence that says what is
wrong, and one that says what to do; `docs/doctor.md` lists them all.
"""
