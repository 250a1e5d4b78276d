"""What is asked, as SQL; what was found, or why nothing was."""
