"""The cluster screen: pods, workflows and events, with their YAML and logs."""
