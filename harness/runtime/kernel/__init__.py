"""What the Linux kernel offers and says: control groups, processes, disks, ports."""
