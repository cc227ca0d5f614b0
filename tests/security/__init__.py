"""What strangers and mishaps try. docs/security.md names the test of each threat, here and beside what it is about."""
