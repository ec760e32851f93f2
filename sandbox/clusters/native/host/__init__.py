"""What the node takes of the machine: addresses, links, packet rules, control groups, mounts, processes."""
