"""What every backend on a Ray cluster needs, once: the connection, the nodes, how payloads travel."""
