"""What several test rooms run against: a fake provider, and a gateway worker as a real process."""
