"""A web shop: FastAPI takes the orders, Inngest functions fulfil them."""
