"""Small helpers without knowledge of stages or engines."""
