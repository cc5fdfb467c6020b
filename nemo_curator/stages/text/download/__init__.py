"""Download and extract: from what the web publishes to documents."""
