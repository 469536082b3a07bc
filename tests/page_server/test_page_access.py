"""Who may see the page."""

from __future__ import annotations

from pathlib import Path

from visitor import TOKEN, Visitor, served

from sweep.page_server.sweep_list import SweepList


def test_without_the_token_nothing_is_shown(root: Path) -> None:
    with served(SweepList(root)) as visit:
        for path in ("/", "/sweeps/small/", "/sweeps/small/data", "/nothing", "/?token=guess"):
            answer = visit(path)
            assert answer.status == 403
            assert "small" not in answer.text
            assert "set-cookie" not in answer.headers


def test_token_is_taken_from_the_address_once_and_then_from_a_cookie(root: Path) -> None:
    with served(SweepList(root)) as visit:
        answer = visit(f"/sweeps/small/?token={TOKEN}")
        assert answer.status == 303
        assert answer.headers["location"] == "/sweeps/small/"
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert visit("/sweeps/small/data").status == 200
        assert visit("/?token=wrong").headers["location"] == "/"  # the cookie counts
        assert visit("/", headers={"cookie": "sweep=guess"}).status == 403


def test_redirect_does_not_lead_to_another_site(root: Path) -> None:
    with served(SweepList(root)) as visit:
        assert visit(f"//evil.example/?token={TOKEN}").headers["location"] == "/evil.example/"


def test_name_that_was_bound_to_this_machine_is_refused(root: Path) -> None:
    with served(SweepList(root)) as visit:
        visit.enter()
        for host in (
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "a@127.0.0.1",
            "",
        ):
            assert visit("/", headers={"host": host}).status == 400
        for host in ("127.0.0.1", "localhost:9999", "[::1]:80"):  # a forwarded port may differ
            assert visit("/", headers={"host": host}).status == 200


def test_other_methods_are_refused(root: Path) -> None:
    with served(SweepList(root)) as visit:
        visit.enter()
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for path in ("/", "/sweeps/small/", "/sweeps/small/data"):
                answer = visit(path, method, headers={"origin": "http://evil.example"})
                assert answer.status == 405
                assert not [name for name in answer.headers if name.startswith("access-control")]


def test_page_may_ask_only_this_server_and_be_framed_by_nobody(root: Path) -> None:
    with served(SweepList(root)) as visit:
        for answer in (visit.enter()("/"), Visitor(visit.port)("/")):
            policy = answer.headers["content-security-policy"]
            assert "connect-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["referrer-policy"] == "no-referrer"


def test_no_script_runs_but_those_of_the_page(root: Path) -> None:
    with served(SweepList(root)) as visit:
        for path in ("/", "/sweeps/small/"):
            answer = visit.enter().opened(path)
            rules = answer.headers["content-security-policy"].split("; ")
            (scripts,) = (one for one in rules if one.startswith("script-src"))
            assert "'unsafe-inline'" not in scripts
            nonce = scripts.partition("'nonce-")[2].partition("'")[0]
            assert len(nonce) == 32
            assert f'<script nonce="{nonce}">' in answer.text
            assert "<script>" not in answer.text
