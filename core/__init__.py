"""The ledger and everything that surrounds it: settings, states, jobs, leases, storage and the command line.

`core` imports neither `worker` nor `dashboard`, and never torch or Flask, so that a web process stays small and a
shell command starts at once.
"""
