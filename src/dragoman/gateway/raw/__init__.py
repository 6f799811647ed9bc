"""What goes to a provider and back as it is: the pass-through, and files and batches. Off unless a configuration names it."""
