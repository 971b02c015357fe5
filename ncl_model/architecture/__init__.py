"""What the network is: the config that names it, its parts, and how they are joined."""
