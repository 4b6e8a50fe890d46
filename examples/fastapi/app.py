"""
The shop on the web: a page with the orders, their import, and what customers and banks may do.

Run it with any ASGI server, beside an Inngest server: `uvicorn examples.fastapi.app:app`.
"""

from __future__ import annotations

import html

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

import inngest_core as inngest
from examples.fastapi import shop
from examples.fastapi.functions import FUNCTIONS, client
from examples.fastapi.orders import Order, read_orders
from inngest_contrib.fastapi import create_router

app = FastAPI(title="Kontor, coffee and tea")
app.include_router(create_router(client, FUNCTIONS))

orders: dict[str, Order] = {}

PAGE = """<!doctype html>
<meta charset="utf-8"><title>Kontor, coffee and tea</title>
<style>body {{ font: 16px/1.5 system-ui; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }} td, th {{ text-align: left; padding: .3rem .6rem;
border-bottom: 1px solid #ddd }} form {{ display: inline }}</style>
<h1>Kontor, coffee and tea</h1>
<form method="post" action="/orders/import"><button>Import orders.csv</button></form>
<table><tr><th>Order<th>Customer<th>Total<th>Payment<th>State<th></tr>{rows}</table>
"""
ROW = """<tr><td>{order.order_id}<td>{customer}<td>{order.total} {order.currency}<td>{order.payment}
<td>{state}<td>
<form method="post" action="/orders/{order.order_id}/pay"><button>pay</button></form>
<form method="post" action="/orders/{order.order_id}/cancel"><button>cancel</button></form></tr>"""


@app.get("/", response_class=HTMLResponse)
def page() -> str:
    """Show every order and its state."""
    rows = (
        ROW.format(order=order, customer=html.escape(order.customer), state=state_of(order))
        for order in orders.values()
    )
    return PAGE.format(rows="".join(rows))


@app.get("/orders")
def list_orders() -> list[dict[str, str]]:
    """Give every order and its state."""
    return [{"order_id": order.order_id, "state": state_of(order)} for order in orders.values()]


@app.post("/orders/import")
async def import_orders() -> dict[str, list[str]]:
    """Read the CSV and send one event per order, and one for the whole day, in one request."""
    found = read_orders()
    orders.update((order.order_id, order) for order in found)
    placed = [order.model_dump(mode="json") for order in found]
    ids = await client.send(
        [
            # An event's id keeps a second import from fulfilling an order twice.
            *(
                inngest.Event(name="shop/order.placed", id=f"order-{data['order_id']}", data=data)
                for data in placed
            ),
            inngest.Event(name="shop/orders.imported", data={"orders": placed}),
        ]
    )
    return {"event_ids": ids}


@app.post("/orders/{order_id}/pay")
async def pay(order_id: str) -> RedirectResponse:
    """Take note that money has arrived, as a bank would report it."""
    known(order_id)
    event = inngest.Event(name="shop/payment.settled", data={"order_id": order_id, "paid": True})
    await client.send(event)
    return RedirectResponse("/", status_code=303)


@app.post("/orders/{order_id}/cancel")
async def cancel(order_id: str) -> RedirectResponse:
    """Cancel an order that is not yet on its way."""
    known(order_id)
    await client.send(inngest.Event(name="shop/order.cancelled", data={"order_id": order_id}))
    shop.note(order_id, "cancelled")
    return RedirectResponse("/", status_code=303)


def known(order_id: str) -> Order:
    """Return the order, or answer 404."""
    if order_id not in orders:
        raise HTTPException(404, f"There is no order {order_id}; import the orders first.")
    return orders[order_id]


def state_of(order: Order) -> str:
    """Return what the customer is told."""
    return shop.states.get(order.order_id, "placed")
