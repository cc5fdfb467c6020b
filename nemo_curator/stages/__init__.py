"""User code on tasks: the base classes, what stages ask for, and the stages that come with the project."""
