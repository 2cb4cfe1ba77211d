"""Start one training on many devices: plan the processes, watch them, end them together, start again."""
