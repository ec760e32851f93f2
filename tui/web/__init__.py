"""``c2d-box serve``: the same screens in a browser on this machine."""
