"""A watchman: Tornado takes addresses of web sites, Inngest functions look at them."""
