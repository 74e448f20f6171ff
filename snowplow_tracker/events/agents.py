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
    "AgentCompletion",
    "AgentContext",
    "AgentDecisionLogged",
    "AgentInvocation",
    "AgentStep",
    "ConstraintViolation",
    "MessageContext",
    "MessageReceived",
    "MessageSent",
    "ToolContext",
    "ToolExecution",
    "UserIntentDetected",
]


class AgentCompletion(TypedEvent):
    """An AI agent has finished what it was asked for.

    Schema: `iglu:com.snowplow.agent.tracking/agent_completion/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        total_steps: How many rounds it took. 1 to 10000.
        total_duration_ms: How long it took, in milliseconds. 0 to 600000.
        total_tokens: The tokens of prompts and answers together. 0 to 2147483647.
        tools_called: How often tools were called. 0 to 1000.
        finish_reason: Why it stopped.
        success: Whether the agent did what it was asked for.
        completed_at: When it was finished, as ISO 8601. Format date-time.
        business_tools_called: How many of these were tools of the application. 0 to
            1000.
        self_tracking_tools_called: How many of these were tools that track. 0 to 1000.
        final_response_length: The length of the answer, in characters. 0 to 100000.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/agent_completion/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        total_steps: int,
        total_duration_ms: int,
        total_tokens: int,
        tools_called: int,
        finish_reason: Literal["stop", "length", "error", "max_steps"],
        success: bool,
        completed_at: str,
        business_tools_called: int | None = None,
        self_tracking_tools_called: int | None = None,
        final_response_length: int | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.total_steps = total_steps
        self.total_duration_ms = total_duration_ms
        self.total_tokens = total_tokens
        self.tools_called = tools_called
        self.business_tools_called = business_tools_called
        self.self_tracking_tools_called = self_tracking_tools_called
        self.finish_reason = finish_reason
        self.success = success
        self.final_response_length = final_response_length
        self.completed_at = completed_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "total_steps": self.total_steps,
            "total_duration_ms": self.total_duration_ms,
            "total_tokens": self.total_tokens,
            "tools_called": self.tools_called,
            "finish_reason": self.finish_reason,
            "success": self.success,
            "completed_at": self.completed_at,
        }
        if self.business_tools_called is not None:
            data["business_tools_called"] = self.business_tools_called
        if self.self_tracking_tools_called is not None:
            data["self_tracking_tools_called"] = self.self_tracking_tools_called
        if self.final_response_length is not None:
            data["final_response_length"] = self.final_response_length
        return data


class AgentContext(TypedEntity):
    """The agent that is at work, as an entity of its events.

    Schema: `iglu:com.snowplow.agent.tracking/agent_context/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        session_id: The id of the session or chat. Format uuid.
        agent_type: The kind of agent. At most 100 characters.
        model_name: The name of the model. At most 100 characters.
        model_provider: Who offers the model. At most 50 characters.
        user_id: The id of the user, if known. At most 255 characters.
        application_version: The version of the application. At most 20 characters.
        conversation_messages_count: How many messages there were so far. 0 to 10000.
        current_step_number: The number of the round. 1 to 10000.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/agent_context/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        session_id: str,
        agent_type: str,
        model_name: str,
        model_provider: str,
        user_id: str | None = None,
        application_version: str | None = None,
        conversation_messages_count: int | None = None,
        current_step_number: int | None = None,
    ) -> None:
        self.invocation_id = invocation_id
        self.session_id = session_id
        self.user_id = user_id
        self.agent_type = agent_type
        self.model_name = model_name
        self.model_provider = model_provider
        self.application_version = application_version
        self.conversation_messages_count = conversation_messages_count
        self.current_step_number = current_step_number

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "session_id": self.session_id,
            "agent_type": self.agent_type,
            "model_name": self.model_name,
            "model_provider": self.model_provider,
        }
        if self.user_id is not None:
            data["user_id"] = self.user_id
        if self.application_version is not None:
            data["application_version"] = self.application_version
        if self.conversation_messages_count is not None:
            data["conversation_messages_count"] = self.conversation_messages_count
        if self.current_step_number is not None:
            data["current_step_number"] = self.current_step_number
        return data


class AgentDecisionLogged(TypedEvent):
    """An agent says what it decided and why.

    Schema: `iglu:com.snowplow.agent.tracking/agent_decision_logged/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        decision_id: The id of the decision. Format uuid.
        decision_type: The kind of decision. At most 255 characters.
        reasoning: Why, in words. At most 2000 characters.
        logged_at: When it was logged, as ISO 8601. Format date-time.
        considerations: What was weighed.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/agent_decision_logged/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        decision_id: str,
        decision_type: str,
        reasoning: str,
        logged_at: str,
        considerations: list[str] | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.decision_id = decision_id
        self.decision_type = decision_type
        self.reasoning = reasoning
        self.considerations = considerations
        self.logged_at = logged_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "decision_id": self.decision_id,
            "decision_type": self.decision_type,
            "reasoning": self.reasoning,
            "logged_at": self.logged_at,
        }
        if self.considerations is not None:
            data["considerations"] = self.considerations
        return data


class AgentInvocation(TypedEvent):
    """Somebody asks an agent for something.

    Schema: `iglu:com.snowplow.agent.tracking/agent_invocation/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        session_id: The id of the session or chat. Format uuid.
        invoked_at: When it began, as ISO 8601. Format date-time.
        user_message_preview: The start of the message that was the reason. At most 500
            characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/agent_invocation/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        session_id: str,
        invoked_at: str,
        user_message_preview: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.session_id = session_id
        self.user_message_preview = user_message_preview
        self.invoked_at = invoked_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "session_id": self.session_id,
            "invoked_at": self.invoked_at,
        }
        if self.user_message_preview is not None:
            data["user_message_preview"] = self.user_message_preview
        return data


_AgentStep_FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
]


class AgentStep(TypedEvent):
    """One round of an agent: a call of its model.

    Schema: `iglu:com.snowplow.agent.tracking/agent_step/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        step_number: The number of the round. 1 to 10000.
        step_type: The kind of round.
        input_tokens: The tokens that went in. 0 to 2147483647.
        output_tokens: The tokens that came out. 0 to 2147483647.
        tool_calls_count: How often tools were called. 0 to 100.
        stepped_at: When it was finished, as ISO 8601. Format date-time.
        finish_reason: Why it stopped.
        text_length: The length of the text, in characters. 0 to 100000.
        step_duration_ms: How long it took, in milliseconds. 0 to 300000.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/agent_step/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        step_number: int,
        step_type: Literal["initial", "continue", "tool-result"],
        input_tokens: int,
        output_tokens: int,
        tool_calls_count: int,
        stepped_at: str,
        finish_reason: _AgentStep_FinishReason | None = None,
        text_length: int | None = None,
        step_duration_ms: int | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.step_number = step_number
        self.step_type = step_type
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.finish_reason = finish_reason
        self.tool_calls_count = tool_calls_count
        self.text_length = text_length
        self.step_duration_ms = step_duration_ms
        self.stepped_at = stepped_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "step_number": self.step_number,
            "step_type": self.step_type,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tool_calls_count": self.tool_calls_count,
            "stepped_at": self.stepped_at,
        }
        if self.finish_reason is not None:
            data["finish_reason"] = self.finish_reason
        if self.text_length is not None:
            data["text_length"] = self.text_length
        if self.step_duration_ms is not None:
            data["step_duration_ms"] = self.step_duration_ms
        return data


class ConstraintViolation(TypedEvent):
    """An agent cannot do what is wanted.

    Schema: `iglu:com.snowplow.agent.tracking/constraint_violation/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        violation_id: The id of this case. Format uuid.
        constraint_type: What stands in the way. At most 255 characters.
        user_requirement: What the user wanted. At most 1000 characters.
        reason_not_met: Why it cannot be had. At most 2000 characters.
        violated_at: When it was noticed, as ISO 8601. Format date-time.
        alternatives_considered: What else was thought of.
        recommendation: What is recommended instead. At most 1000 characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/constraint_violation/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        violation_id: str,
        constraint_type: str,
        user_requirement: str,
        reason_not_met: str,
        violated_at: str,
        alternatives_considered: list[str] | None = None,
        recommendation: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.violation_id = violation_id
        self.constraint_type = constraint_type
        self.user_requirement = user_requirement
        self.reason_not_met = reason_not_met
        self.alternatives_considered = alternatives_considered
        self.recommendation = recommendation
        self.violated_at = violated_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "violation_id": self.violation_id,
            "constraint_type": self.constraint_type,
            "user_requirement": self.user_requirement,
            "reason_not_met": self.reason_not_met,
            "violated_at": self.violated_at,
        }
        if self.alternatives_considered is not None:
            data["alternatives_considered"] = self.alternatives_considered
        if self.recommendation is not None:
            data["recommendation"] = self.recommendation
        return data


class MessageContext(TypedEntity):
    """A message in a conversation, as an entity.

    Schema: `iglu:com.snowplow.agent.tracking/message_context/jsonschema/1-0-0`

    Args:
        message_id: The id of the message. Format uuid.
        message_role: Who wrote it.
        message_length: Its length, in characters. 0 to 100000.
        message_index: Its place in the conversation. 0 to 10000.
        message_preview: Its start. At most 100 characters.
        conversation_turn: The number of the turn: question and answer. 0 to 5000.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/message_context/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        message_id: str,
        message_role: Literal["user", "assistant"],
        message_length: int,
        message_index: int,
        message_preview: str | None = None,
        conversation_turn: int | None = None,
    ) -> None:
        self.message_id = message_id
        self.message_role = message_role
        self.message_length = message_length
        self.message_preview = message_preview
        self.message_index = message_index
        self.conversation_turn = conversation_turn

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "message_id": self.message_id,
            "message_role": self.message_role,
            "message_length": self.message_length,
            "message_index": self.message_index,
        }
        if self.message_preview is not None:
            data["message_preview"] = self.message_preview
        if self.conversation_turn is not None:
            data["conversation_turn"] = self.conversation_turn
        return data


class MessageReceived(TypedEvent):
    """The user gets an answer.

    Schema: `iglu:com.snowplow.agent.tracking/message_received/jsonschema/1-0-0`

    Args:
        session_id: The id of the session or chat. Format uuid.
        invocation_id: The id of what the agent was asked to do. Format uuid.
        response_time_ms: How long the answer took, in milliseconds. 0 to 300000.
        tool_calls_count: How often tools were called. 0 to 100.
        received_at: When it came, as ISO 8601. Format date-time.
        tokens_used: The tokens of prompt and answer together. 0 to 2147483647.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/message_received/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        session_id: str,
        invocation_id: str,
        response_time_ms: int,
        tool_calls_count: int,
        received_at: str,
        tokens_used: int | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.session_id = session_id
        self.invocation_id = invocation_id
        self.tokens_used = tokens_used
        self.response_time_ms = response_time_ms
        self.tool_calls_count = tool_calls_count
        self.received_at = received_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "session_id": self.session_id,
            "invocation_id": self.invocation_id,
            "response_time_ms": self.response_time_ms,
            "tool_calls_count": self.tool_calls_count,
            "received_at": self.received_at,
        }
        if self.tokens_used is not None:
            data["tokens_used"] = self.tokens_used
        return data


class MessageSent(TypedEvent):
    """The user sends a message.

    Schema: `iglu:com.snowplow.agent.tracking/message_sent/jsonschema/1-0-0`

    Args:
        session_id: The id of the session or chat. Format uuid.
        sent_at: When it was sent, as ISO 8601. Format date-time.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/message_sent/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        session_id: str,
        sent_at: str,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.session_id = session_id
        self.sent_at = sent_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "session_id": self.session_id,
            "sent_at": self.sent_at,
        }
        return data


class ToolContext(TypedEntity):
    """The tool that an agent uses, as an entity.

    Schema: `iglu:com.snowplow.agent.tracking/tool_context/jsonschema/1-0-0`

    Args:
        tool_name: The name of the tool. At most 100 characters.
        tool_category: The kind of tool. At most 100 characters.
        tool_call_id: The id of this call. Format uuid.
        tool_description: What the tool does. At most 500 characters.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/tool_context/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        tool_name: str,
        tool_category: str,
        tool_call_id: str,
        tool_description: str | None = None,
    ) -> None:
        self.tool_name = tool_name
        self.tool_category = tool_category
        self.tool_call_id = tool_call_id
        self.tool_description = tool_description

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "tool_name": self.tool_name,
            "tool_category": self.tool_category,
            "tool_call_id": self.tool_call_id,
        }
        if self.tool_description is not None:
            data["tool_description"] = self.tool_description
        return data


class ToolExecution(TypedEvent):
    """An agent has used a tool.

    Schema: `iglu:com.snowplow.agent.tracking/tool_execution/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        execution_duration_ms: How long it took, in milliseconds. 0 to 300000.
        success: Whether it worked.
        executed_at: When it was finished, as ISO 8601. Format date-time.
        step_number: The number of the round. 1 to 10000.
        error_type: The kind of error. At most 100 characters.
        error_message: What the error says. At most 500 characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/tool_execution/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        execution_duration_ms: int,
        success: bool,
        executed_at: str,
        step_number: int | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.step_number = step_number
        self.execution_duration_ms = execution_duration_ms
        self.success = success
        self.error_type = error_type
        self.error_message = error_message
        self.executed_at = executed_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "execution_duration_ms": self.execution_duration_ms,
            "success": self.success,
            "executed_at": self.executed_at,
        }
        if self.step_number is not None:
            data["step_number"] = self.step_number
        if self.error_type is not None:
            data["error_type"] = self.error_type
        if self.error_message is not None:
            data["error_message"] = self.error_message
        return data


class UserIntentDetected(TypedEvent):
    """An agent understands what the user wants.

    Schema: `iglu:com.snowplow.agent.tracking/user_intent_detected/jsonschema/1-0-0`

    Args:
        invocation_id: The id of what the agent was asked to do. Format uuid.
        intent_id: The id of this finding. Format uuid.
        intent_category: What the user wants. At most 255 characters.
        confidence: How sure that is, from 0 to 1. 0 to 1.
        detected_at: When it was found, as ISO 8601. Format date-time.
        reasoning: Why, in words. At most 2000 characters.
        event_subject: Its subject, which takes precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now.
    """

    SCHEMA: ClassVar[str] = "iglu:com.snowplow.agent.tracking/user_intent_detected/jsonschema/1-0-0"

    def __init__(
        self,
        *,
        invocation_id: str,
        intent_id: str,
        intent_category: str,
        confidence: float,
        detected_at: str,
        reasoning: str | None = None,
        event_subject: Subject | None = None,
        context: list[SelfDescribingJson] | None = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        super().__init__(event_subject, context, true_timestamp)
        self.invocation_id = invocation_id
        self.intent_id = intent_id
        self.intent_category = intent_category
        self.confidence = confidence
        self.reasoning = reasoning
        self.detected_at = detected_at

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "invocation_id": self.invocation_id,
            "intent_id": self.intent_id,
            "intent_category": self.intent_category,
            "confidence": self.confidence,
            "detected_at": self.detected_at,
        }
        if self.reasoning is not None:
            data["reasoning"] = self.reasoning
        return data
