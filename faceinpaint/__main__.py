"""`python -m faceinpaint`, which `accelerate launch -m faceinpaint` needs."""

from faceinpaint.cli import main

main()
