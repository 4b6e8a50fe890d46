"""What the shop keeps: products with their stock, orders, payments."""

from __future__ import annotations

from django.db import models
from django.db.models import F


class Product(models.Model):
    """Something on the shelf."""

    name = models.CharField(max_length=100, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.name

    def take(self, quantity: int) -> bool:
        """Take from the shelf, unless there is too little."""
        enough = Product.objects.filter(pk=self.pk, stock__gte=quantity)
        return enough.update(stock=F("stock") - quantity) == 1

    def put_back(self, quantity: int) -> None:
        """Put on the shelf."""
        Product.objects.filter(pk=self.pk).update(stock=F("stock") + quantity)


class Order(models.Model):
    """A customer's wish, and what became of it."""

    class State(models.TextChoices):
        """How far it is."""

        PLACED = "placed"
        PAID = "paid"
        SHIPPED = "shipped"
        REFUSED = "refused"

    customer = models.CharField(max_length=100)
    card = models.CharField(max_length=20)
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLACED)
    tracking = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.customer}: {self.quantity} x {self.product}"


class Payment(models.Model):
    """Money that a bank has sent; one for an order."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    receipt = models.CharField(max_length=40)
