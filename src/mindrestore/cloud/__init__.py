"""Copy folders from and to object storage, and run a training whose data and results live there."""
