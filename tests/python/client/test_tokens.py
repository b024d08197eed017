"""Authentication of `session_buddy.client`: tokens, expired tokens and functions that renew them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from session_buddy.client import (
    ForbiddenError,
    RefusedError,
    State,
    StateChange,
    UnauthorizedError,
    connect,
)
from support.client_library import first
from support.processes import Server
from support.tokens import READER, SCRAPER, SECRET, signed, write_secret


@pytest.fixture
def guarded(filled_db: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that accepts one token, with the scope `read`."""
    file = write_secret(tmp_path / "tokens", f"{READER} read\n{SCRAPER} metrics\n")
    with Server(filled_db, "--auth-token-file", str(file), "--auth-timeout", "200ms") as server:
        yield server


async def test_a_token_authenticates_and_is_never_shown(guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="session_buddy")
    async with connect(guarded.url, token=READER) as client:
        assert (await first(client.subscribe())).top_skills
        assert READER not in repr(client)
        assert READER not in repr(vars(client))
    async with connect(guarded.url, token=lambda: f"{READER}\n") as client:
        await client.ping()
    assert READER not in caplog.text


@pytest.mark.parametrize(
    ("token", "error", "status"),
    [(None, UnauthorizedError, None), ("wrong", UnauthorizedError, 401), (SCRAPER, ForbiddenError, 403)],
)
async def test_a_rejected_token_is_not_sent_again(
    guarded: Server, token: str | None, error: type[RefusedError], status: int | None
) -> None:
    changes: list[StateChange] = []
    with pytest.raises(error) as caught:
        await connect(guarded.url, token=token, first_attempts=None, on_state=changes.append).__aenter__()
    assert caught.value.status == status
    assert caught.value.close_code == (4401 if status is None else None)
    assert "wrong" not in str(caught.value)
    assert [change.state for change in changes] == [State.CONNECTING, State.CLOSED]
    assert changes[-1].reason is caught.value


def jwt_server(db_path: Path) -> Server:
    return Server(db_path, "--jwt-leeway", "0", env={"SESSION_BUDDY_JWT_SECRET": SECRET})


async def test_an_expired_token_ends_it(filled_db: Path) -> None:
    with jwt_server(filled_db) as server:
        async with connect(server.url, token=signed(exp=int(time.time()) + 3)) as client:
            with pytest.raises(UnauthorizedError, match="expired"):
                async for _ in client.subscribe():
                    pass
            assert client.state is State.CLOSED
            with pytest.raises(UnauthorizedError):
                await client.ping()


async def test_an_expired_token_is_renewed_by_a_function(filled_db: Path) -> None:
    changes: list[StateChange] = []
    lifetimes = iter([3, 3600])
    current = signed(exp=int(time.time()) + next(lifetimes))

    def token() -> str:
        nonlocal current
        if State.CONNECTED in [change.state for change in changes]:
            current = signed(exp=int(time.time()) + 3600)
        return current

    with jwt_server(filled_db) as server:
        async with connect(server.url, token=token, on_state=changes.append, first_delay=0.01) as client:
            updates = client.subscribe()
            while [change.state for change in changes].count(State.CONNECTED) < 2:
                await first(updates)
            await first(updates)


async def test_a_function_whose_tokens_are_all_rejected_is_not_called_forever(guarded: Server) -> None:
    shown: list[str] = []

    def token() -> str:
        shown.append(f"wrong-{len(shown)}")
        return shown[-1]

    with pytest.raises(UnauthorizedError):
        await connect(guarded.url, token=token, first_attempts=None, first_delay=0.01).__aenter__()
    assert len(shown) <= 4
