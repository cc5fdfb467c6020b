"""What moves tasks: one folder a backend, each behind the same port."""
