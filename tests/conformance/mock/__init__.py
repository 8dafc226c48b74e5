"""What a mock provider answers, dialect by dialect: pure functions from a request's fields to a documented reply."""
