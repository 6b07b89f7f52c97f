"""What an operator asks: where an execution is, and what it waits for. Decided from records; asks nobody."""
