"""A box office: Flask sells tickets, Inngest functions keep the seats until they are paid."""
