"""How fast and how large, beside a plain reading of the paper: `faceinpaint bench`."""
