"""Which runtime environments of stages this backend can make: variables, in worker processes."""

from __future__ import annotations

from nemo_curator.engine.session import Session
from nemo_curator.errors import PlanError

__all__ = ["check_environments", "refuse_environments"]


def check_environments(session: Session) -> None:
    """Raise `PlanError` for a stage whose runtime environment is more than variables."""
    for stage in session.plan.stages:
        others = sorted(set(stage.stage.runtime_env or {}) - {"env_vars"})
        if others:
            message = (
                f"stage {stage.name!r} (added at {stage.declared_at}) has a runtime_env with {', '.join(others)}, which the local "
                f"backend does not build; it takes env_vars. Install the packages in this environment instead"
            )
            raise PlanError(message)


def refuse_environments(session: Session, mode: str) -> None:
    """Raise `PlanError` for a stage with a runtime environment: workers that share a process share its environment."""
    for stage in session.plan.stages:
        if stage.stage.runtime_env:
            message = (
                f"stage {stage.name!r} (added at {stage.declared_at}) has a runtime_env, which needs a process of its own; "
                f"mode={mode!r} has none. Use LocalExecutor(mode='processes')"
            )
            raise PlanError(message)
