"""What people read: scorecards for the credit office, workbooks for departments."""
