"""A shop's workflows as one DigitalOcean Function, and a way to run it here."""
