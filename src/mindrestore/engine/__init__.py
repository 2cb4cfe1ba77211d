"""Training: device, optimiser, schedule, step, state, loop and log."""
