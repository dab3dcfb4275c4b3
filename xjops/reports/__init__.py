"""What people read: reports as tables, JSON and pages, Chinese first."""
