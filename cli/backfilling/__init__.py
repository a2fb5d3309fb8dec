"""The work of a back-fill: whom the past asks to move, what stands against it, the commands behind the live ones."""
