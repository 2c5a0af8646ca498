"""How long browser sessions live."""

from __future__ import annotations

from server.access.sessions import Sessions


class Clock:
    """Time that tests move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_idle_and_when_old() -> None:
    clock = Clock()
    sessions = Sessions(idle=10, longest=25, clock=clock)
    token = sessions.begin("anna")
    for clock.now in (9.0, 18.0, 24.0):
        used = sessions.use(token)
        assert used is not None and used[1].user == "anna"
    clock.now = 25.0
    assert sessions.use(token) is None
    idle = sessions.begin("anna")
    key, _ = sessions.use(idle) or ("", None)
    clock.now += 9.0
    assert sessions.look(key) is not None
    clock.now += 1.0
    assert sessions.use(idle) is None


def test_a_user_has_so_many_sessions_and_no_token_is_kept() -> None:
    sessions = Sessions(idle=10, longest=10, most_of_a_user=2)
    tokens = [sessions.begin("anna") for _ in range(3)]
    other = sessions.begin("bert")
    assert [sessions.use(token) is not None for token in tokens] == [False, True, True]
    assert sessions.use(other) is not None
    assert sessions.use("") is None
    assert not set(sessions._sessions) & {*tokens, other}
