"""Who works on what: claims, their leases, the moves of items, and what workers publish."""
