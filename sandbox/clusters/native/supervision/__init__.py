"""The supervisor's parts: component processes, the control socket, and their memory."""
