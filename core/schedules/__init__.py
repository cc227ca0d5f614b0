"""What happens by itself: schedules of retrainings and their runs."""
