"""The page of the shop, and its API."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import AllowAny

from examples.django.shop.models import Order, Product
from examples.django.shop.orders import OutOfStock, place


def page(request: HttpRequest) -> HttpResponse:
    """Show the shelf and the orders."""
    orders = Order.objects.select_related("product").order_by("-pk")[:50]
    shelf = {"products": Product.objects.order_by("name"), "orders": orders}
    return render(request, "shop/page.html", shelf)


@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Take an order from the page."""
    product = get_object_or_404(Product, pk=request.POST.get("product", 0))
    wish = Order(customer=request.POST.get("customer", "")[:100], card="4111 1111", product=product)
    try:
        place(wish)
    except OutOfStock as problem:
        messages.error(request, str(problem))
    return redirect("page")


class OrderSerializer(serializers.ModelSerializer[Order]):
    """An order, as customers' programs see it."""

    class Meta:
        model = Order
        fields = ("id", "customer", "card", "product", "quantity", "state", "tracking")
        read_only_fields = ("state", "tracking")
        extra_kwargs = {"card": {"write_only": True}, "quantity": {"min_value": 1}}  # noqa: RUF012

    def create(self, validated_data: dict[str, Any]) -> Order:
        """Place an order."""
        try:
            return place(Order(**validated_data))
        except OutOfStock as problem:
            raise serializers.ValidationError({"quantity": str(problem)}) from problem


class OrderViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[Order],
):
    """Orders: placed by anybody, and listed for everybody; it is an example."""

    queryset = Order.objects.select_related("product").order_by("pk")
    serializer_class = OrderSerializer
    permission_classes = (AllowAny,)
