"""What reads facts from pixels."""
