"""The jobs screen, the screen of one job, and the actions on a job."""
