"""Every network of the two research works, one file each, and how they are kept in folders."""
