"""A task's definition: checked when the module is imported, and the same in every process that imports it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rota.errors import InvalidArgumentsError, RotaError, TaskDefinitionError
from rota.model.codec import Codec
from rota.model.retry import Retry
from rota.model.shape import Call
from rota.model.signature import place_of, refuse_unless_plain
from rota.model.task import TaskSpec
from rota.submit.check import check_key, check_name, check_priority, check_retry, check_timeout


@dataclass(frozen=True, slots=True)
class Definition:
    """What is known of a task.

    Attributes:
        name: The name under which its jobs are stored.
        function: The function itself.
        queue: Where its jobs go unless a submission says otherwise.
        key: A rule that is called with the task's arguments, a fixed key, or ``None``.
        priority: Of its jobs, unless a submission says otherwise.
        codec: Writes and reads its arguments and results.
        spec: What a worker must know.
    """

    name: str
    function: Callable[..., Any]
    queue: str
    key: Callable[..., str | None] | str | None
    priority: int
    codec: Codec
    spec: TaskSpec = field(repr=False)

    @property
    def place(self) -> str:
        """Where it is written, ``file:line``."""
        return place_of(self.function)

    def key_of(self, call: Call) -> str | None:
        """Return the key of a job with these arguments; defaults are filled in.

        Raises:
            InvalidArgumentsError: The rule raised, or returned something that cannot be a key.
            LimitError: The key is too long.
        """
        rule = self.key
        if rule is None or isinstance(rule, str):
            return rule
        args, kwargs = call
        try:
            key = rule(*args, **kwargs)
        except Exception as error:
            raise InvalidArgumentsError(
                f"task {self.name}: its key rule raised {type(error).__name__}: {error}. Nothing was written. The rule gets "
                f"the arguments of {self.codec.signature}.",
                task=self.name,
            ) from error
        return check_key(key, self.name)


def define(
    function: Callable[..., Any],
    *,
    name: str | None,
    queue: str,
    key: Callable[..., str | None] | str | None,
    retry: Retry | None,
    timeout: timedelta | float | None,
    priority: int,
) -> Definition:
    """Check a function and its options, and return its definition.

    Raises:
        TaskDefinitionError: The function cannot be a task, with the reason; or an option cannot be.
    """
    refuse_unless_plain(function)
    try:
        name = check_name(function.__name__ if name is None else name, "task name")
        check_name(queue, "queue")
        check_priority(priority)
        policy = Retry() if retry is None else check_retry(retry)
        timeout_ms = check_timeout(timeout)
        codec = Codec(function, name)
        _check_rule(key, codec, name)
    except TaskDefinitionError:
        raise
    except RotaError as error:
        raise TaskDefinitionError(f"{function.__qualname__} ({place_of(function)}): {error.message}") from error
    spec = TaskSpec(
        name=name,
        queue=queue,
        function=function,
        is_async=inspect.iscoroutinefunction(function),
        decode=codec.decode,
        encode_result=codec.encode_result,
        retry=policy,
        timeout_ms=timeout_ms,
    )
    return Definition(name, function, queue, key, priority, codec, spec)


def _check_rule(key: Callable[..., str | None] | str | None, codec: Codec, name: str) -> None:
    if not callable(key):
        check_key(key, name)
        if key in (names := codec.signature.names):
            raise TaskDefinitionError(
                f"task {name}: key={key!r} would be one key for all of its jobs, which then run one at a time, and {key} is a "
                f"parameter. Write a rule of the arguments: key=lambda {', '.join(names)}: str({key}).",
                function=name,
            )
        return
    if inspect.iscoroutinefunction(key):
        raise TaskDefinitionError(f"task {name}: its key rule is async; a key is computed at once, from the arguments.")
    try:
        rule = inspect.signature(key)
    except (TypeError, ValueError):
        return  # built in, without a signature to look at; the first submit tells
    signature = codec.signature
    try:
        rule.bind(*signature.positional, **dict.fromkeys(signature.keyword_only))
    except TypeError as error:
        raise TaskDefinitionError(
            f"task {name}: its key rule takes {rule}, and is called with all arguments of {signature}: {error}. Give it the "
            "same parameters.",
            function=name,
        ) from error
