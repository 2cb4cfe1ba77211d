"""What each network is, apart from the code that builds it: nothing here imports MindSpore."""
