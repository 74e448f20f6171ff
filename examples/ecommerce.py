"""Track a purchase as the ecommerce data models of Snowplow want it: typed actions with their entities."""

import sys
from typing import List, Optional

from _runner import run

from snowplow_tracker import AsyncEmitter, Scope, Subject, Tracker
from snowplow_tracker.events.ecommerce import (
    Cart,
    CheckoutStep,
    Page,
    Product,
    SnowplowEcommerceAction,
    Transaction,
    User,
)


def lamp(quantity: Optional[int] = None) -> Product:
    """Describe what is bought."""
    return Product(
        id="lamp-3",
        name="Lamp",
        category="furniture/lamps",
        price=29.9,
        currency="EUR",
        quantity=quantity,
    )


def track(endpoint: str) -> List[Optional[str]]:
    """Look at a product, put it into the cart, and buy it."""
    # Every event of the visit carries the user and the page of the shop.
    visit = Scope(user_id="customer-7", entities=[User(id="customer-7"), Page(type="product")])
    with Tracker("shop", AsyncEmitter(endpoint), Subject().set_platform("srv")) as tracker, visit:
        return [
            tracker.track(SnowplowEcommerceAction(type="product_view", context=[lamp()])),
            tracker.track(
                SnowplowEcommerceAction(
                    type="add_to_cart",
                    context=[lamp(2), Cart(total_value=59.8, currency="EUR")],
                )
            ),
            tracker.track(
                SnowplowEcommerceAction(
                    type="checkout_step",
                    context=[CheckoutStep(step=1, delivery_method="to the door")],
                )
            ),
            tracker.track(
                SnowplowEcommerceAction(
                    type="transaction",
                    context=[
                        lamp(2),
                        Transaction(
                            transaction_id="A-1017",
                            revenue=59.8,
                            currency="EUR",
                            payment_method="card",
                            total_quantity=2,
                        ),
                    ],
                )
            ),
        ]


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
