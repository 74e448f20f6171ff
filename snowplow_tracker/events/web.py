"""Events and entities, generated from their schemas: change those, not this.

Written by `python -m snowplow_tracker generate`.
"""

# fmt: off
from __future__ import annotations

from typing import Any, ClassVar, Literal

from snowplow_tracker.iglu.typed import TypedData, TypedEntity, TypedEvent, plain
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = [
    "ApplicationError",
    "ChangeForm",
    "ConsentDocument",
    "ConsentGranted",
    "ConsentWithdrawn",
    "FocusForm",
    "LinkClick",
    "SiteSearch",
    "SubmitForm",
    "SubmitFormElement",
    "Timing",
]


_ApplicationError_ProgrammingLanguage = Literal[
    "JAVA",
    "SCALA",
    "KOTLIN",
    "GROOVY",
    "RUBY",
    "GOLANG",
    "JAVASCRIPT",
    "PHP",
    "PYTHON",
    "OBJECTIVEC",
    "SWIFT",
    "C",
    "CPLUSPLUS",
    "CSHARP",
    "ACTIONSCRIPT",
    "LUA",
    "RUST",
    "HASKELL",
    "CLOJURE",
    "ERLANG",
    "ELIXIR",
    "CRYSTAL",
    "PONY",
    "NIM",
]


class ApplicationError(TypedEvent):
    """Something went wrong in a program.

    Schema: `iglu:com.snowplowanalytics.snowplow/application_error/jsonschema/1-0-2`

    Args:
        programming_language: The language of the program.
        message: What the error says. At most 2048 characters.
        thread_name: The name of the thread. At most 1024 characters.
        thread_id: The id of the thread. 0 to 2147483647.
        stack_trace: The calls that led to it. At most 8192 characters.
        cause_stack_trace: The calls that led to its cause. At most 8192 characters.
        line_number: The line in the file. 0 to 2147483647.
        class_name: The class or function. At most 1024 characters.
        exception_name: The name of the exception. At most 1024 characters.
        is_fatal: Whether it ended the program.
        line_column: The column in the line. 0 to 2147483647.
        file_name: The file. At most 1024 characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/application_error/jsonschema/1-0-2"

    def __init__(
        self,
        *,
        programming_language: _ApplicationError_ProgrammingLanguage,
        message: str,
        thread_name: str | None = None,
        thread_id: int | None = None,
        stack_trace: str | None = None,
        cause_stack_trace: str | None = None,
        line_number: int | None = None,
        class_name: str | None = None,
        exception_name: str | None = None,
        is_fatal: bool | None = None,
        line_column: int | None = None,
        file_name: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.programming_language = programming_language
        self.message = message
        self.thread_name = thread_name
        self.thread_id = thread_id
        self.stack_trace = stack_trace
        self.cause_stack_trace = cause_stack_trace
        self.line_number = line_number
        self.class_name = class_name
        self.exception_name = exception_name
        self.is_fatal = is_fatal
        self.line_column = line_column
        self.file_name = file_name

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "programmingLanguage": self.programming_language,
            "message": self.message,
        }
        if self.thread_name is not None:
            data["threadName"] = self.thread_name
        if self.thread_id is not None:
            data["threadId"] = self.thread_id
        if self.stack_trace is not None:
            data["stackTrace"] = self.stack_trace
        if self.cause_stack_trace is not None:
            data["causeStackTrace"] = self.cause_stack_trace
        if self.line_number is not None:
            data["lineNumber"] = self.line_number
        if self.class_name is not None:
            data["className"] = self.class_name
        if self.exception_name is not None:
            data["exceptionName"] = self.exception_name
        if self.is_fatal is not None:
            data["isFatal"] = self.is_fatal
        if self.line_column is not None:
            data["lineColumn"] = self.line_column
        if self.file_name is not None:
            data["fileName"] = self.file_name
        return data


_ChangeForm_Type = Literal[
    "button",
    "checkbox",
    "color",
    "date",
    "datetime",
    "datetime-local",
    "email",
    "file",
    "hidden",
    "image",
    "month",
    "number",
    "password",
    "radio",
    "range",
    "reset",
    "search",
    "submit",
    "tel",
    "text",
    "time",
    "url",
    "week",
]


class ChangeForm(TypedEvent):
    """A field of a form is changed.

    Schema: `iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0`

    Args:
        form_id: The id of the form. 0 to 4096 characters.
        element_id: The id of the element in the page. 0 to 4096 characters.
        node_name: The kind of element.
        value: What is in the field. 0 to 65535 characters.
        type: The kind.
        element_classes: The classes of the element.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        form_id: str,
        element_id: str,
        node_name: Literal["INPUT", "TEXTAREA", "SELECT"],
        value: str | None,
        type: _ChangeForm_Type | None = None,
        element_classes: list[str] | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.form_id = form_id
        self.element_id = element_id
        self.node_name = node_name
        self.type = type
        self.element_classes = element_classes
        self.value = value

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "formId": self.form_id,
            "elementId": self.element_id,
            "nodeName": self.node_name,
            "value": self.value,
        }
        if self.type is not None:
            data["type"] = self.type
        if self.element_classes is not None:
            data["elementClasses"] = self.element_classes
        return data


class ConsentDocument(TypedEntity):
    """What consent was given to, as an entity.

    Schema: `iglu:com.snowplowanalytics.snowplow/consent_document/jsonschema/1-0-0`

    Args:
        id: The id. At most 36 characters.
        version: The version of the document. At most 36 characters.
        name: The name. At most 60 characters.
        description: What the document says. At most 10000 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/consent_document/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        id: str,
        version: str,
        name: str | None = None,
        description: str | None = None,
    ) -> None:
        self.id = id
        self.version = version
        self.name = name
        self.description = description

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": self.id,
            "version": self.version,
        }
        if self.name is not None:
            data["name"] = self.name
        if self.description is not None:
            data["description"] = self.description
        return data


class ConsentGranted(TypedEvent):
    """Somebody gives consent; entities say to what.

    Schema: `iglu:com.snowplowanalytics.snowplow/consent_granted/jsonschema/1-0-0`

    Args:
        expiry: Until when it is given, as ISO 8601. Format date-time.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/consent_granted/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        expiry: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.expiry = expiry

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self.expiry is not None:
            data["expiry"] = self.expiry
        return data


class ConsentWithdrawn(TypedEvent):
    """Somebody takes consent back.

    Schema: `iglu:com.snowplowanalytics.snowplow/consent_withdrawn/jsonschema/1-0-0`

    Args:
        all: Whether all consent is taken back.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/consent_withdrawn/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        all: bool,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.all = all

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "all": self.all,
        }
        return data


_FocusForm_ElementType = Literal[
    "button",
    "checkbox",
    "color",
    "date",
    "datetime",
    "datetime-local",
    "email",
    "file",
    "hidden",
    "image",
    "month",
    "number",
    "password",
    "radio",
    "range",
    "reset",
    "search",
    "submit",
    "tel",
    "text",
    "time",
    "url",
    "week",
]


class FocusForm(TypedEvent):
    """A field of a form gets the focus.

    Schema: `iglu:com.snowplowanalytics.snowplow/focus_form/jsonschema/1-0-0`

    Args:
        form_id: The id of the form. 0 to 4096 characters.
        element_id: The id of the element in the page. 0 to 4096 characters.
        node_name: The kind of element.
        value: What is in the field. 0 to 65535 characters.
        element_type: The `type` of an input element.
        element_classes: The classes of the element.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/focus_form/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        form_id: str,
        element_id: str,
        node_name: Literal["INPUT", "TEXTAREA", "SELECT"],
        value: str | None,
        element_type: _FocusForm_ElementType | None = None,
        element_classes: list[str] | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.form_id = form_id
        self.element_id = element_id
        self.node_name = node_name
        self.element_type = element_type
        self.element_classes = element_classes
        self.value = value

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "formId": self.form_id,
            "elementId": self.element_id,
            "nodeName": self.node_name,
            "value": self.value,
        }
        if self.element_type is not None:
            data["elementType"] = self.element_type
        if self.element_classes is not None:
            data["elementClasses"] = self.element_classes
        return data


class LinkClick(TypedEvent):
    """Somebody follows a link.

    Schema: `iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1`

    Args:
        target_url: Where the link leads. At least 1 character.
        element_id: The id of the element in the page.
        element_classes: The classes of the element.
        element_target: The `target` of the link.
        element_content: What is inside the link.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1"

    def __init__(
        self,
        *,
        target_url: str,
        element_id: str | None = None,
        element_classes: list[str] | None = None,
        element_target: str | None = None,
        element_content: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.element_id = element_id
        self.element_classes = element_classes
        self.element_target = element_target
        self.target_url = target_url
        self.element_content = element_content

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "targetUrl": self.target_url,
        }
        if self.element_id is not None:
            data["elementId"] = self.element_id
        if self.element_classes is not None:
            data["elementClasses"] = self.element_classes
        if self.element_target is not None:
            data["elementTarget"] = self.element_target
        if self.element_content is not None:
            data["elementContent"] = self.element_content
        return data


class SiteSearch(TypedEvent):
    """Somebody searches on the site.

    Schema: `iglu:com.snowplowanalytics.snowplow/site_search/jsonschema/1-0-0`

    Args:
        terms: What was searched for. At least 1 item.
        filters: The filters that were set.
        total_results: How many results there are. 0 to 2147483647.
        page_results: How many of them are on the first page. 0 to 2147483647.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/site_search/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        terms: list[str],
        filters: dict[str, str | bool] | None = None,
        total_results: int | None = None,
        page_results: int | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.terms = terms
        self.filters = filters
        self.total_results = total_results
        self.page_results = page_results

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "terms": self.terms,
        }
        if self.filters is not None:
            data["filters"] = self.filters
        if self.total_results is not None:
            data["totalResults"] = self.total_results
        if self.page_results is not None:
            data["pageResults"] = self.page_results
        return data


_SubmitFormElement_Type = Literal[
    "button",
    "checkbox",
    "color",
    "date",
    "datetime",
    "datetime-local",
    "email",
    "file",
    "hidden",
    "image",
    "month",
    "number",
    "password",
    "radio",
    "range",
    "reset",
    "search",
    "submit",
    "tel",
    "text",
    "time",
    "url",
    "week",
]


class SubmitFormElement(TypedData):
    """Data of SubmitFormElement.

    Args:
        name: The name. 0 to 65535 characters.
        value: What is in the field. 0 to 65535 characters.
        node_name: The kind of element.
        type: The kind.
    """

    def __init__(
        self,
        *,
        name: str,
        value: str | None,
        node_name: Literal["INPUT", "TEXTAREA", "SELECT"],
        type: _SubmitFormElement_Type | None = None,
    ) -> None:
        self.name = name
        self.value = value
        self.node_name = node_name
        self.type = type

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "nodeName": self.node_name,
        }
        if self.type is not None:
            data["type"] = self.type
        return data


class SubmitForm(TypedEvent):
    """A form is sent.

    Schema: `iglu:com.snowplowanalytics.snowplow/submit_form/jsonschema/1-0-0`

    Args:
        form_id: The id of the form. 0 to 4096 characters.
        form_classes: The classes of the form.
        elements: The fields of the form.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/submit_form/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        form_id: str,
        form_classes: list[str] | None = None,
        elements: list[SubmitFormElement] | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.form_id = form_id
        self.form_classes = form_classes
        self.elements = elements

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "formId": self.form_id,
        }
        if self.form_classes is not None:
            data["formClasses"] = self.form_classes
        if self.elements is not None:
            data["elements"] = plain(self.elements)
        return data


class Timing(TypedEvent):
    """How long something took.

    Schema: `iglu:com.snowplowanalytics.snowplow/timing/jsonschema/1-0-0`

    Args:
        category: The group of what is measured.
        variable: What was measured.
        timing: How long it took, in milliseconds.
        label: More about it.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplowanalytics.snowplow/timing/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        category: str,
        variable: str,
        timing: float,
        label: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.category = category
        self.variable = variable
        self.timing = timing
        self.label = label

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "category": self.category,
            "variable": self.variable,
            "timing": self.timing,
        }
        if self.label is not None:
            data["label"] = self.label
        return data
