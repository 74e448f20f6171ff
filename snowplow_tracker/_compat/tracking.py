"""The methods of trackers from before there were event classes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, TypeVar, Union
from warnings import warn

from snowplow_tracker._protocol.parameters import sent_value
from snowplow_tracker.constants import BASE_SCHEMA_PATH, SCHEMA_TAG
from snowplow_tracker.contracts import form_element, non_empty, non_empty_string, one_of
from snowplow_tracker.events import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    StructuredEvent,
)
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import (
    FORM_NODE_NAMES,
    FORM_TYPES,
    ElementClasses,
    FormClasses,
    FormNodeName,
    PayloadDict,
)

if TYPE_CHECKING:
    from typing_extensions import deprecated
else:

    def deprecated(message: str) -> Any:
        """Mark a method as deprecated for editors and type checkers. The method itself warns at run time."""

        def mark(method: Any) -> Any:
            method.__deprecated__ = message
            return method

        return mark


_Context = Optional[List[SelfDescribingJson]]


class DeprecatedTracking:
    """The deprecated `track_*` methods of `Tracker`.

    They are those of 1.1.0. Each takes, besides what it says itself, `context`, `tstamp` and
    `event_subject`: what events call `context`, `true_timestamp` and `event_subject`. Each warns
    with `DeprecationWarning` and returns the tracker.
    """

    if TYPE_CHECKING:

        def track(self, event: Event) -> Optional[str]: ...

        @staticmethod
        def get_uuid() -> str: ...

    @deprecated("Please use track(PageView(...)).")
    def track_page_view(
        self: _Tracker,
        page_url: str,
        page_title: Optional[str] = None,
        referrer: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `PageView`."""
        _warn("track_page_view")
        self.track(
            event=PageView(
                page_url=page_url,
                page_title=page_title,
                referrer=referrer,
                event_subject=event_subject,
                context=context,
                true_timestamp=tstamp,
            )
        )
        return self

    @deprecated("Please use track(PagePing(...)).")
    def track_page_ping(
        self: _Tracker,
        page_url: str,
        page_title: Optional[str] = None,
        referrer: Optional[str] = None,
        min_x: Optional[int] = None,
        max_x: Optional[int] = None,
        min_y: Optional[int] = None,
        max_y: Optional[int] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `PagePing`."""
        _warn("track_page_ping")
        self.track(
            event=PagePing(
                page_url=page_url,
                page_title=page_title,
                referrer=referrer,
                min_x=min_x,
                max_x=max_x,
                min_y=min_y,
                max_y=max_y,
                event_subject=event_subject,
                context=context,
                true_timestamp=tstamp,
            )
        )
        return self

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_link_click(
        self: _Tracker,
        target_url: str,
        element_id: Optional[str] = None,
        element_classes: Optional[ElementClasses] = None,
        element_target: Optional[str] = None,
        element_content: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a click on a link."""
        _warn("track_link_click")
        non_empty_string(target_url, name="target_url")
        data = _given(
            targetUrl=target_url,
            elementId=element_id,
            elementClasses=element_classes,
            elementTarget=element_target,
            elementContent=element_content,
        )
        return self.track_self_describing_event(
            event_json=_event_json("link_click", "1-0-1", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_add_to_cart(
        self: _Tracker,
        sku: str,
        quantity: int,
        name: Optional[str] = None,
        category: Optional[str] = None,
        unit_price: Optional[float] = None,
        currency: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track an addition to the cart."""
        _warn("track_add_to_cart")
        non_empty_string(sku, name="sku")
        data = {
            "sku": sku,
            "quantity": quantity,
            **_given(name=name, category=category, unitPrice=unit_price, currency=currency),
        }
        return self.track_self_describing_event(
            event_json=_event_json("add_to_cart", "1-0-0", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_remove_from_cart(
        self: _Tracker,
        sku: str,
        quantity: int,
        name: Optional[str] = None,
        category: Optional[str] = None,
        unit_price: Optional[float] = None,
        currency: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a removal from the cart."""
        _warn("track_remove_from_cart")
        non_empty_string(sku, name="sku")
        data = {
            "sku": sku,
            "quantity": quantity,
            **_given(name=name, category=category, unitPrice=unit_price, currency=currency),
        }
        return self.track_self_describing_event(
            event_json=_event_json("remove_from_cart", "1-0-0", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_form_change(
        self: _Tracker,
        form_id: str,
        element_id: Optional[str],
        node_name: FormNodeName,
        value: Optional[str],
        type_: Optional[str] = None,
        element_classes: Optional[ElementClasses] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a change in a form. The type is sent in lower case, as in its schema."""
        _warn("track_form_change")
        non_empty_string(form_id, name="form_id")
        one_of(node_name, FORM_NODE_NAMES, name="node_name")
        if isinstance(type_, str):
            type_ = type_.lower()
        if type_ is not None:
            one_of(type_, FORM_TYPES, name="type_")
        data = {
            "formId": form_id,
            **_given(elementId=element_id),
            "nodeName": node_name,
            # The schema allows null as the value, but requires the key.
            "value": value,
            **_given(type=type_, elementClasses=element_classes),
        }
        return self.track_self_describing_event(
            event_json=_event_json("change_form", "1-0-0", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_form_submit(
        self: _Tracker,
        form_id: str,
        form_classes: Optional[FormClasses] = None,
        elements: Optional[Sequence[Optional[Dict[str, Any]]]] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track the submission of a form."""
        _warn("track_form_submit")
        non_empty_string(form_id, name="form_id")
        described = [element for element in elements or () if element is not None]
        for element in described:
            form_element(element)
        data = _given(formId=form_id, formClasses=form_classes, elements=described or None)
        return self.track_self_describing_event(
            event_json=_event_json("submit_form", "1-0-0", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_site_search(
        self: _Tracker,
        terms: Sequence[str],
        filters: Optional[Dict[str, Union[str, bool]]] = None,
        total_results: Optional[int] = None,
        page_results: Optional[int] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a search on the site."""
        _warn("track_site_search")
        non_empty(terms, name="terms")
        data = {
            "terms": terms,
            **_given(filters=filters, totalResults=total_results, pageResults=page_results),
        }
        return self.track_self_describing_event(
            event_json=_event_json("site_search", "1-0-0", data),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_ecommerce_transaction_item(
        self: _Tracker,
        order_id: str,
        sku: str,
        price: float,
        quantity: int,
        name: Optional[str] = None,
        category: Optional[str] = None,
        currency: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track an item of a transaction."""
        _warn("track_ecommerce_transaction_item")
        non_empty_string(order_id, name="order_id")
        non_empty_string(sku, name="sku")
        pairs = {
            "e": "ti",
            "ti_id": order_id,
            "ti_sk": sku,
            "ti_nm": name,
            "ti_ca": category,
            "ti_pr": sent_value("ti_pr", price),
            "ti_qu": sent_value("ti_qu", quantity),
            "ti_cu": currency,
        }
        self.track(event=Event(pairs, event_subject, context, tstamp))
        return self

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_ecommerce_transaction(
        self: _Tracker,
        order_id: str,
        total_value: float,
        affiliation: Optional[str] = None,
        tax_value: Optional[float] = None,
        shipping: Optional[float] = None,
        city: Optional[str] = None,
        state: Optional[str] = None,
        country: Optional[str] = None,
        currency: Optional[str] = None,
        items: Optional[List[Dict[str, Any]]] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a transaction and its items, which get its currency and its shared arguments.

        Args:
            order_id: The id of the order.
            total_value: The total price.
            affiliation: The store or site.
            tax_value: The tax in the total.
            shipping: The shipping costs in the total.
            city: The city of delivery.
            state: The state of delivery.
            country: The country of delivery.
            currency: The currency code of three letters.
            items: For each item its own arguments of `track_ecommerce_transaction_item`: `sku`,
                `price`, `quantity`, and optionally `name` and `category`.
            context: The entities of the event.
            tstamp: When it happened, as `true_timestamp` of events.
            event_subject: The subject of the event.
        """
        _warn("track_ecommerce_transaction")
        non_empty_string(order_id, name="order_id")
        pairs = {
            "e": "tr",
            "tr_id": order_id,
            "tr_tt": sent_value("tr_tt", total_value),
            "tr_af": affiliation,
            "tr_tx": sent_value("tr_tx", tax_value),
            "tr_sh": sent_value("tr_sh", shipping),
            "tr_ci": city,
            "tr_st": state,
            "tr_co": country,
            "tr_cu": currency,
        }
        self.track(event=Event(pairs, event_subject, context, tstamp))
        shared = {
            "order_id": order_id,
            "currency": currency,
            "context": context,
            "tstamp": tstamp,
            "event_subject": event_subject,
        }
        for item in items or []:
            self.track_ecommerce_transaction_item(**{**item, **shared})
        return self

    @deprecated("Please use track(ScreenView(...)).")
    def track_screen_view(
        self: _Tracker,
        name: Optional[str] = None,
        id_: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a view of a screen in the older form that `ScreenView` replaced."""
        _warn("track_screen_view")
        return self.track_self_describing_event(
            event_json=_event_json("screen_view", "1-0-0", _given(name=name, id=id_)),
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )

    @deprecated("Please use track(ScreenView(...)).")
    def track_mobile_screen_view(
        self: _Tracker,
        name: str,
        id_: Optional[str] = None,
        type: Optional[str] = None,  # noqa: A002
        previous_name: Optional[str] = None,
        previous_id: Optional[str] = None,
        previous_type: Optional[str] = None,
        transition_type: Optional[str] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `ScreenView`."""
        _warn("track_mobile_screen_view")
        self.track(
            event=ScreenView(
                id_=self.get_uuid() if id_ is None else id_,
                name=name,
                type=type,
                previous_name=previous_name,
                previous_id=previous_id,
                previous_type=previous_type,
                transition_type=transition_type,
                event_subject=event_subject,
                context=context,
                true_timestamp=tstamp,
            )
        )
        return self

    @deprecated("Please use track(StructuredEvent(...)).")
    def track_struct_event(
        self: _Tracker,
        category: str,
        action: str,
        label: Optional[str] = None,
        property_: Optional[str] = None,
        value: Optional[float] = None,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `StructuredEvent`."""
        _warn("track_struct_event")
        self.track(
            event=StructuredEvent(
                category=category,
                action=action,
                label=label,
                property_=property_,
                value=value,
                event_subject=event_subject,
                context=context,
                true_timestamp=tstamp,
            )
        )
        return self

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_self_describing_event(
        self: _Tracker,
        event_json: SelfDescribingJson,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `SelfDescribing`."""
        _warn("track_self_describing_event")
        self.track(event=SelfDescribing(event_json, event_subject, context, tstamp))
        return self

    @deprecated("Please use track(SelfDescribing(...)).")
    def track_unstruct_event(
        self: _Tracker,
        event_json: SelfDescribingJson,
        context: _Context = None,
        tstamp: Optional[float] = None,
        event_subject: Optional[Subject] = None,
    ) -> _Tracker:
        """Track a `SelfDescribing`."""
        _warn("track_unstruct_event")
        return self.track_self_describing_event(
            event_json=event_json,
            context=context,
            tstamp=tstamp,
            event_subject=event_subject,
        )


_Tracker = TypeVar("_Tracker", bound=DeprecatedTracking)


def _warn(method: str) -> None:
    """Warn the caller of a deprecated method, unless that is another one of them."""
    if sys._getframe(2).f_globals is not globals():  # noqa: SLF001 - no other way to know
        instead = vars(DeprecatedTracking)[method].__deprecated__
        warn(
            f"{method}() is deprecated and will be removed. {instead}",
            DeprecationWarning,
            stacklevel=3,
        )


def _given(**data: object) -> PayloadDict:
    return {name: value for name, value in data.items() if value is not None}


def _event_json(name: str, version: str, data: PayloadDict) -> SelfDescribingJson:
    return SelfDescribingJson(f"{BASE_SCHEMA_PATH}/{name}/{SCHEMA_TAG}/{version}", data)
