"""Real virtual machines for tests, demo and benchmark: image, machine, host's view of the agent."""
