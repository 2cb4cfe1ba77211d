"""The networks, one file each, and the layers and operators that they share."""
