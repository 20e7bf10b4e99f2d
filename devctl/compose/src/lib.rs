//! Loads Compose files into a typed project, with the meaning that Docker Compose gives them.
