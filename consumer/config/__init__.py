"""The configuration: frozen settings, from one YAML file and the environment."""
