"""Claims about where functions are served, and under which address they are registered."""

from __future__ import annotations

import pytest

from inngest_core import ConfigError, SigningKeyMissingError

from .adapter import Adapter
from .exchange import Asked, call
from .functions import functions
from .server import RecordedServer, cloud_client, dev_client

_FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-host": "shop.example"}


class Places(Adapter):
    """The route, the registered address, proxies in front, and what is served there."""

    # ---- the route

    def test_a_slash_at_the_end_changes_nothing(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client))
        for path in (self.path, self.path + "/"):
            assert self.ask(app, call("plain", path=path)).status == 200

    @pytest.mark.parametrize("path", ["/elsewhere", "elsewhere", "/elsewhere/", "/a/b", "/"])
    def test_serve_path_is_the_route_and_what_is_registered(self, path: str) -> None:
        server = RecordedServer()
        client = dev_client(server)
        route = "/" + path.strip("/") if self.routes else self.path
        app = self.serve(client, functions(client), serve_path=path)
        assert self.ask(app, call("plain", path=route)).status == 200
        assert self.ask(app, Asked("PUT", path=route)).status == 200
        assert server.bodies[0]["url"].endswith("/" + path.lstrip("/"))

    def test_a_variable_is_the_route_unless_an_option_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.routes:
            pytest.skip(f"the platform routes, not {self.framework}")
        monkeypatch.setenv("INNGEST_SERVE_PATH", "/variable")
        client = dev_client()
        app = self.serve(client, functions(client))
        assert self.ask(app, call("plain", path="/variable")).status == 200
        app = self.serve(client, client.functions, serve_path="/option")
        assert self.ask(app, call("plain", path="/option")).status == 200

    # ---- the registered address

    def test_the_registered_address_is_the_one_asked_for_without_its_query(self) -> None:
        server = RecordedServer()
        asked = Asked("PUT", query="deployId=d", headers={"host": "app.example:8000"})
        assert self.answer(dev_client(server), asked).status == 200
        assert server.bodies[0]["url"] == f"http://app.example:8000{self.path}"
        assert server.bodies[0]["framework"] == self.framework
        assert server.requests[0].url.endswith("/fn/register?deployId=d")

    def test_public_path_is_only_what_is_registered(self) -> None:
        server = RecordedServer()
        asked = Asked("PUT", headers={"host": "app.example"})
        assert self.answer(dev_client(server), asked, public_path="/public").status == 200
        assert server.bodies[0]["url"] == "http://app.example/public"

    @pytest.mark.parametrize(
        ("origin", "registered"),
        [
            ("https://shop.example", "https://shop.example"),
            ("shop.example", "https://shop.example"),
        ],
    )
    def test_serve_origin_is_what_is_registered_whatever_a_proxy_made_of_the_host(
        self, origin: str, registered: str
    ) -> None:
        server = RecordedServer()
        asked = Asked("PUT", headers={"host": "10.0.0.7:8000", **_FORWARDED})
        self.answer(dev_client(server), asked, serve_origin=origin, public_path="/jobs/inngest")
        assert server.bodies[0]["url"] == f"{registered}/jobs/inngest"

    def test_forwarded_headers_are_not_believed_unless_the_framework_is_told_to(self) -> None:
        server = RecordedServer()
        asked = Asked("PUT", headers={"host": "app.example", **_FORWARDED})
        assert self.answer(dev_client(server), asked).status == 200
        assert server.bodies[0]["url"] == f"http://app.example{self.path}"

    def test_a_trusted_proxy_gives_the_registered_scheme(self) -> None:
        server = RecordedServer()
        client = dev_client(server)
        app = self.behind_proxy(self.serve(client, functions(client)))
        if app is None:
            pytest.skip(f"{self.framework} knows no trusted proxy")
        asked = Asked("PUT", headers={"host": "shop.example", **_FORWARDED})
        assert self.request(app, asked).status == 200
        assert server.bodies[0]["url"] == f"https://shop.example{self.path}"

    def test_below_a_prefix_the_registered_address_has_it(self) -> None:
        server = RecordedServer()
        client = dev_client(server)
        app = self.mounted(self.serve(client, functions(client)), "/jobs")
        if app is None:
            pytest.skip(f"{self.framework} mounts no apps")
        asked = Asked("PUT", path=f"/jobs{self.path}", headers={"host": "app.example"})
        assert self.ask(app, asked).status == 200
        assert server.bodies[0]["url"] == f"http://app.example/jobs{self.path}"
        assert self.ask(app, call("plain", path=f"/jobs{self.path}")).status == 200

    # ---- what is served

    def test_without_a_list_everything_on_the_client_is_served_later_functions_too(self) -> None:
        client = dev_client()
        app = self.serve(client)
        assert self.request(app, call("plain")).status == 500
        functions(client)
        assert self.request(app, call("plain")).status == 200

    def test_an_explicit_list_wins(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client)[:1])
        assert self.request(app, call("plain")).status == 200
        assert self.request(app, call("step")).json["code"] == "function_not_found"

    def test_without_a_signing_key_the_cloud_cannot_be_served(self) -> None:
        with pytest.raises(SigningKeyMissingError, match="INNGEST_SIGNING_KEY"):
            self.serve(cloud_client(signing_key=None))

    def test_a_malformed_signing_key_is_said_at_once_and_not_shown(self) -> None:
        with pytest.raises(ConfigError, match="signing_key") as raised:
            self.serve(cloud_client(signing_key="signkey-test-secret"))
        assert "secret" not in str(raised.value)
