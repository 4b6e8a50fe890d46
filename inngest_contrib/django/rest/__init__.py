"""
Events, functions and runs for Django REST framework.

    urlpatterns += [path("api/jobs/", include("inngest_contrib.django.rest.urls"))]

Importing this package does not import REST framework; its modules do. Only admins are
let in, unless ``routes.router(...)`` is told otherwise.
"""
