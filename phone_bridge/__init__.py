"""Links to glasses: files, glasses in memory, recorded sessions."""
