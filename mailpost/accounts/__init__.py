"""Who may have which mail: users, passwords, realm."""
