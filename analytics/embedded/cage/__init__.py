"""What holds the embedded ClickHouse and its analyst: allow lists, grants, and the kernel's walls."""
