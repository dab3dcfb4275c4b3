"""A synthetic province: schools, accounts, students and their families. No line of it is a real person's."""
