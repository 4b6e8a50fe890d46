"""Pages, the shop's API, the runs for admins, and the endpoint of the functions."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from examples.django.shop import views

router = DefaultRouter()
router.register("orders", views.OrderViewSet)

urlpatterns = [
    path("", views.page, name="page"),
    path("order/", views.order, name="order"),
    path("api/", include(router.urls)),
    path("api/", include("inngest_contrib.django.urls")),
    path("api/jobs/", include("inngest_contrib.django.rest.urls")),
]
