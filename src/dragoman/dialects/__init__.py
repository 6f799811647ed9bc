"""Wire formats, one file each: pure translation between bytes and `core`. They know no provider, socket, clock or key."""
