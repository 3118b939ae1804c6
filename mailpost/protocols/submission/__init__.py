"""Submission: users who have logged in send mail. RFC: 6409."""
