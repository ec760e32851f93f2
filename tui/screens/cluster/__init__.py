"""The cluster screen: pods, workflows and events, with their YAML and logs. Screens of a job use its panes
for that job's objects."""
