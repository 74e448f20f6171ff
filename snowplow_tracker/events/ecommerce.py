"""Events and entities, generated from their schemas: change those, not this.

Written by `python -m snowplow_tracker generate`.
"""

# fmt: off
from __future__ import annotations

from typing import Any, ClassVar, Literal

from snowplow_tracker.iglu.typed import TypedEntity, TypedEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = [
    "Cart",
    "CheckoutStep",
    "Page",
    "Product",
    "Promotion",
    "Refund",
    "SnowplowEcommerceAction",
    "Transaction",
    "TransactionError",
    "User",
]


class Cart(TypedEntity):
    """A shopping cart after what was done to it.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/cart/jsonschema/1-0-0`

    Args:
        total_value: What all of the cart costs now. 0 to 9999999. A multiple of 0.01.
        currency: The currency by its three letters (ISO 4217). Exactly 3 characters.
        cart_id: The id of the cart. At most 4096 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/cart/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        total_value: float,
        currency: str,
        cart_id: str | None = None,
    ) -> None:
        self.cart_id = cart_id
        self.total_value = total_value
        self.currency = currency

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "total_value": self.total_value,
            "currency": self.currency,
        }
        if self.cart_id is not None:
            data["cart_id"] = self.cart_id
        return data


class CheckoutStep(TypedEntity):
    """One step on the way to paying.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/checkout_step/jsonschema/1-0-0`

    Args:
        step: The number of the step. 1 to 90.
        shipping_postcode: The postcode that it goes to. At most 128 characters.
        billing_postcode: The postcode of who pays. At most 128 characters.
        shipping_full_address: The address that it goes to. At most 4096 characters.
        billing_full_address: The address of who pays. At most 4096 characters.
        delivery_provider: Who delivers. At most 128 characters.
        delivery_method: How it is delivered, such as to a shop. At most 128 characters.
        coupon_code: The coupon that was used. At most 128 characters.
        account_type: The kind of account, such as guest. At most 128 characters.
        payment_method: How it is paid, such as by card. At most 128 characters.
        proof_of_payment: What is given as proof: invoice or receipt. At most 128
            characters.
        marketing_opt_in: Whether marketing is welcome.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/checkout_step/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        step: int,
        shipping_postcode: str | None = None,
        billing_postcode: str | None = None,
        shipping_full_address: str | None = None,
        billing_full_address: str | None = None,
        delivery_provider: str | None = None,
        delivery_method: str | None = None,
        coupon_code: str | None = None,
        account_type: str | None = None,
        payment_method: str | None = None,
        proof_of_payment: str | None = None,
        marketing_opt_in: bool | None = None,
    ) -> None:
        self.step = step
        self.shipping_postcode = shipping_postcode
        self.billing_postcode = billing_postcode
        self.shipping_full_address = shipping_full_address
        self.billing_full_address = billing_full_address
        self.delivery_provider = delivery_provider
        self.delivery_method = delivery_method
        self.coupon_code = coupon_code
        self.account_type = account_type
        self.payment_method = payment_method
        self.proof_of_payment = proof_of_payment
        self.marketing_opt_in = marketing_opt_in

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "step": self.step,
        }
        if self.shipping_postcode is not None:
            data["shipping_postcode"] = self.shipping_postcode
        if self.billing_postcode is not None:
            data["billing_postcode"] = self.billing_postcode
        if self.shipping_full_address is not None:
            data["shipping_full_address"] = self.shipping_full_address
        if self.billing_full_address is not None:
            data["billing_full_address"] = self.billing_full_address
        if self.delivery_provider is not None:
            data["delivery_provider"] = self.delivery_provider
        if self.delivery_method is not None:
            data["delivery_method"] = self.delivery_method
        if self.coupon_code is not None:
            data["coupon_code"] = self.coupon_code
        if self.account_type is not None:
            data["account_type"] = self.account_type
        if self.payment_method is not None:
            data["payment_method"] = self.payment_method
        if self.proof_of_payment is not None:
            data["proof_of_payment"] = self.proof_of_payment
        if self.marketing_opt_in is not None:
            data["marketing_opt_in"] = self.marketing_opt_in
        return data


class Page(TypedEntity):
    """What kind of page of the shop was looked at.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/page/jsonschema/1-0-0`

    Args:
        type: The kind of page, such as homepage. At most 128 characters.
        language: The language of the page. At most 128 characters.
        locale: The locale of the site. At most 128 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/page/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        type: str,
        language: str | None = None,
        locale: str | None = None,
    ) -> None:
        self.type = type
        self.language = language
        self.locale = locale

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "type": self.type,
        }
        if self.language is not None:
            data["language"] = self.language
        if self.locale is not None:
            data["locale"] = self.locale
        return data


class Product(TypedEntity):
    """A product that an action is about.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0`

    Args:
        id: The id of the product, such as its SKU. At most 4096 characters.
        category: What it belongs to; levels are told apart by a separator of yours. At
            most 4096 characters.
        price: What it costs now. 0 to 9999999. A multiple of 0.01.
        currency: The currency by its three letters (ISO 4217). Exactly 3 characters.
        name: The name. At most 4096 characters.
        list_price: What it costs without a discount. 0 to 9999999. A multiple of 0.01.
        quantity: How many of it. 0 to 9999999.
        size: Its size. At most 256 characters.
        variant: Its variant, such as a colour. At most 256 characters.
        brand: Its brand. At most 256 characters.
        inventory_status: Whether it can be had, such as in stock. At most 256
            characters.
        position: Its place in a list, from 1. 0 to 9999999.
        creative_id: The picture or text that shows it. At most 256 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        id: str,
        category: str,
        price: float,
        currency: str,
        name: str | None = None,
        list_price: float | None = None,
        quantity: int | None = None,
        size: str | None = None,
        variant: str | None = None,
        brand: str | None = None,
        inventory_status: str | None = None,
        position: int | None = None,
        creative_id: str | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.category = category
        self.price = price
        self.list_price = list_price
        self.quantity = quantity
        self.size = size
        self.variant = variant
        self.brand = brand
        self.inventory_status = inventory_status
        self.position = position
        self.currency = currency
        self.creative_id = creative_id

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": self.id,
            "category": self.category,
            "price": self.price,
            "currency": self.currency,
        }
        if self.name is not None:
            data["name"] = self.name
        if self.list_price is not None:
            data["list_price"] = self.list_price
        if self.quantity is not None:
            data["quantity"] = self.quantity
        if self.size is not None:
            data["size"] = self.size
        if self.variant is not None:
            data["variant"] = self.variant
        if self.brand is not None:
            data["brand"] = self.brand
        if self.inventory_status is not None:
            data["inventory_status"] = self.inventory_status
        if self.position is not None:
            data["position"] = self.position
        if self.creative_id is not None:
            data["creative_id"] = self.creative_id
        return data


class Promotion(TypedEntity):
    """A promotion that was shown or clicked.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/promotion/jsonschema/1-0-0`

    Args:
        id: The id. At most 4096 characters.
        name: The name. At most 256 characters.
        product_ids: The products in it.
        position: Its place in a list, from 1. 0 to 9999999.
        creative_id: The picture or text that shows it. At most 4096 characters.
        type: The kind. At most 256 characters.
        slot: Where on the page it is. At most 256 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/promotion/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        id: str,
        name: str | None = None,
        product_ids: list[str] | None = None,
        position: int | None = None,
        creative_id: str | None = None,
        type: str | None = None,
        slot: str | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.product_ids = product_ids
        self.position = position
        self.creative_id = creative_id
        self.type = type
        self.slot = slot

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": self.id,
        }
        if self.name is not None:
            data["name"] = self.name
        if self.product_ids is not None:
            data["product_ids"] = self.product_ids
        if self.position is not None:
            data["position"] = self.position
        if self.creative_id is not None:
            data["creative_id"] = self.creative_id
        if self.type is not None:
            data["type"] = self.type
        if self.slot is not None:
            data["slot"] = self.slot
        return data


class Refund(TypedEntity):
    """Money that is given back.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/refund/jsonschema/1-0-0`

    Args:
        transaction_id: The id of the purchase. At most 4096 characters.
        currency: The currency by its three letters (ISO 4217). Exactly 3 characters.
        refund_amount: How much is given back. 0.0 to 9999999. A multiple of 0.01.
        refund_reason: Why it is given back. At most 4096 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/refund/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        transaction_id: str,
        currency: str,
        refund_amount: float,
        refund_reason: str | None = None,
    ) -> None:
        self.transaction_id = transaction_id
        self.currency = currency
        self.refund_amount = refund_amount
        self.refund_reason = refund_reason

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "transaction_id": self.transaction_id,
            "currency": self.currency,
            "refund_amount": self.refund_amount,
        }
        if self.refund_reason is not None:
            data["refund_reason"] = self.refund_reason
        return data


_SnowplowEcommerceAction_Type = Literal[
    "add_to_cart",
    "remove_from_cart",
    "product_view",
    "list_click",
    "list_view",
    "promo_click",
    "promo_view",
    "checkout_step",
    "transaction",
    "refund",
    "trns_error",
]


class SnowplowEcommerceAction(TypedEvent):
    """What somebody did in a shop; its entities say with what.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2`

    Args:
        type: What was done.
        name: The name of the list that was shown. At most 128 characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2"

    def __init__(
        self,
        *,
        type: _SnowplowEcommerceAction_Type,
        name: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.type = type
        self.name = name

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "type": self.type,
        }
        if self.name is not None:
            data["name"] = self.name
        return data


class Transaction(TypedEntity):
    """A purchase.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/transaction/jsonschema/1-0-0`

    Args:
        transaction_id: The id of the purchase. At most 4096 characters.
        revenue: What was paid. 0.0 to 9999999. A multiple of 0.01.
        currency: The currency by its three letters (ISO 4217). Exactly 3 characters.
        payment_method: How it is paid, such as by card. At most 128 characters.
        total_quantity: How many items were bought. 0 to 9999999.
        tax: The tax in it. 0 to 9999999. A multiple of 0.01.
        shipping: What delivery costs. 0 to 9999999. A multiple of 0.01.
        discount_code: The code of the discount. At most 99 characters.
        discount_amount: What the discount saves. 0 to 9999999. A multiple of 0.01.
        credit_order: Whether it is bought on credit.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/transaction/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        transaction_id: str,
        revenue: float,
        currency: str,
        payment_method: str,
        total_quantity: int,
        tax: float | None = None,
        shipping: float | None = None,
        discount_code: str | None = None,
        discount_amount: float | None = None,
        credit_order: bool | None = None,
    ) -> None:
        self.transaction_id = transaction_id
        self.revenue = revenue
        self.currency = currency
        self.payment_method = payment_method
        self.total_quantity = total_quantity
        self.tax = tax
        self.shipping = shipping
        self.discount_code = discount_code
        self.discount_amount = discount_amount
        self.credit_order = credit_order

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "transaction_id": self.transaction_id,
            "revenue": self.revenue,
            "currency": self.currency,
            "payment_method": self.payment_method,
            "total_quantity": self.total_quantity,
        }
        if self.tax is not None:
            data["tax"] = self.tax
        if self.shipping is not None:
            data["shipping"] = self.shipping
        if self.discount_code is not None:
            data["discount_code"] = self.discount_code
        if self.discount_amount is not None:
            data["discount_amount"] = self.discount_amount
        if self.credit_order is not None:
            data["credit_order"] = self.credit_order
        return data


class TransactionError(TypedEntity):
    """Why a purchase did not work.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/transaction_error/jsonschema/1-0-0`

    Args:
        error_code: The code of the error. At most 256 characters.
        error_shortcode: The error in a word, such as declined_by_bank. At most 4096
            characters.
        error_description: The error in a sentence. At most 4096 characters.
        error_type: The kind of error.
        resolution: What can be done, such as retry_allowed. At most 4096 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/transaction_error/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        error_code: str | None = None,
        error_shortcode: str | None = None,
        error_description: str | None = None,
        error_type: Literal["hard", "soft"] | None = None,
        resolution: str | None = None,
    ) -> None:
        self.error_code = error_code
        self.error_shortcode = error_shortcode
        self.error_description = error_description
        self.error_type = error_type
        self.resolution = resolution

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self.error_code is not None:
            data["error_code"] = self.error_code
        if self.error_shortcode is not None:
            data["error_shortcode"] = self.error_shortcode
        if self.error_description is not None:
            data["error_description"] = self.error_description
        if self.error_type is not None:
            data["error_type"] = self.error_type
        if self.resolution is not None:
            data["resolution"] = self.resolution
        return data


class User(TypedEntity):
    """Who shops.

    Schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/user/jsonschema/1-0-0`

    Args:
        id: The id of the user. At most 128 characters.
        is_guest: Whether it is a guest.
        email: The email address. At most 256 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow.ecommerce/user/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        id: str,
        is_guest: bool | None = None,
        email: str | None = None,
    ) -> None:
        self.id = id
        self.is_guest = is_guest
        self.email = email

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": self.id,
        }
        if self.is_guest is not None:
            data["is_guest"] = self.is_guest
        if self.email is not None:
            data["email"] = self.email
        return data
