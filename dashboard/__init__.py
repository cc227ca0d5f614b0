"""The room people and scripts come into: pages, the API, and nothing that draws.

It reads the ledger through `core/queries.py`, asks for changes through `core/jobs.py`, and never assigns a state.
"""
