"""API v1: thin routes over `core`, with an OpenAPI description that comes from the same schemas as the checks."""
