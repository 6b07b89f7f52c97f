"""What the servers that live inside a process share: they wake by the clock and deliver to the process's own stores."""
