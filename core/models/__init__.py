"""Model versions: registered, measured, judged, promoted, deleted."""
