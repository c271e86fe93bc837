"""The service layer: from a request to a published file. The command line and every other front end call it."""
