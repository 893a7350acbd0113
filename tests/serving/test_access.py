"""Who may do what, and how much of it (docs/threat_model.md names these tests)."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.errors import InputError
from kuapin.service_settings import TokenConfig
from kuapin.serving.access import Tokens
from kuapin.serving.failures import RefusedError
from kuapin.serving.rates import Rates
from kuapin.workspace import Shop
from tests import served

USER = "user 003"
LIST = "/v1/recommendations?user_id=user%20003"
NEEDS = {
    "recommend": [
        ("GET", LIST, None),
        ("GET", "/v1/users/u/recommendations", None),
        ("POST", "/v1/recommendations", {}),
        ("GET", "/v1/items/B-rose-soap-small/similar", None),
        ("GET", "/v1/similar?item_id=B-rose-soap-small", None),
        ("GET", "/v1/items/B-rose-soap-small/bundle", None),
        ("GET", "/v1/bundle?item_id=B-rose-soap-small", None),
        ("GET", "/v1/users/u/home", None),
        ("GET", "/v1/home?user_id=u", None),
        ("GET", "/v1/users/u/profile", None),
        ("GET", "/v1/profile?user_id=u", None),
    ],
    "write": [
        ("POST", "/v1/interactions", {"interactions": [{"user_id": "u", "item_id": "i"}]}),
        (
            "POST",
            "/v1/impressions",
            {
                "impressions": [
                    {"ranking_id": "r", "user_id": "u", "release": "x", "items": [{"item_id": "i", "position": 1}]}
                ]
            },
        ),
        ("PUT", "/v1/items/i", {}),
        ("PUT", "/v1/items?item_id=i", {}),
        ("DELETE", "/v1/items/B-rose-soap-small", None),
        ("DELETE", "/v1/items?item_id=B-rose-soap-small", None),
    ],
    "admin": [
        ("GET", "/v1/models", None),
        ("GET", "/v1/outcomes", None),
        ("POST", "/v1/models/none/activate", None),
        ("POST", "/v1/models/rollback", None),
        ("GET", "/v1/experiments", None),
        ("POST", "/v1/experiments", {"challenger": "none"}),
        ("GET", "/v1/experiments/e", None),
        ("POST", "/v1/experiments/e/stop", None),
        ("DELETE", "/v1/users/u", None),
        ("DELETE", "/v1/users?user_id=u", None),
    ],
}
OPEN = {"/health/live", "/health/ready"}


def ask(client, method, path, body=None, key=None):
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.request(method, path, json=body, headers=headers)


@pytest.fixture
def guarded(shop):
    keys = {scope: served.key(shop, scope) for scope in NEEDS}
    with served.client(shop, keys=True) as client:
        yield client, keys


def test_every_route_needs_a_key_and_its_scope(guarded):
    client, keys = guarded
    for scope, requests in NEEDS.items():
        for request in requests:
            assert ask(client, *request).status_code == 401, request
            assert ask(client, *request, key="kuapin_000000000000_" + "a" * 43).status_code == 401, request
            for other in set(NEEDS) - {scope}:
                assert ask(client, *request, key=keys[other]).status_code == 403, (request, other)
            assert ask(client, *request, key=keys[scope]).status_code not in (401, 403), request


def test_no_route_is_missing_above(guarded):
    client, keys = guarded
    document = client.get("/openapi.json").json()
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    named = {(method, path.partition("?")[0]) for requests in NEEDS.values() for method, path, _ in requests}
    named = {(m, p.replace("/users/u", "/users/{user_id}").replace("/none/", "/{version}/")) for m, p in named}
    named = {(m, p.replace("/experiments/e", "/experiments/{experiment_id}")) for m, p in named}
    named = {
        (m, p.replace("/items/B-rose-soap-small", "/items/{item_id}").replace("/items/i", "/items/{item_id}"))
        for m, p in named
    }
    assert routes - named == {("GET", path) for path in (*OPEN, "/metrics")}
    assert ask(client, "GET", "/metrics").status_code == 401
    assert ask(client, "GET", "/metrics", key=keys["write"]).status_code == 200


def test_a_key_ends_when_it_is_taken_back(guarded, shop, capfd):
    client, _ = guarded
    capfd.readouterr()
    assert run(app, ["keys", str(shop.path), "--create", "site", "--scope", "recommend", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert ask(client, "GET", LIST, key=made["key"]).status_code == 200
    assert client.get(LIST, headers={"X-API-Key": made["key"]}).status_code == 200
    assert run(app, ["keys", str(shop.path), "--revoke", made["key_id"]]) == 0
    time.sleep(1.1)  # so long a key that was good is remembered
    assert ask(client, "GET", LIST, key=made["key"]).status_code == 401


def test_a_wrong_key_is_in_no_log_and_no_answer(guarded, caplog):
    client, _ = guarded
    caplog.set_level(logging.DEBUG)
    wrong = "kuapin_0123456789ab_SECRETSECRETSECRETSECRETSECRETSECRETSECRET0"
    answer = ask(client, "GET", LIST, key=wrong)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "SECRET" not in answer.text
    assert "SECRET" not in caplog.text
    assert "SECRET" not in ask(client, "GET", "/nowhere", key=wrong).text


def test_a_key_has_its_rate(shop):
    slow = served.key(shop, "recommend", rate=1.0)
    fast = served.key(shop, "recommend")
    with served.client(shop, keys=True) as client:
        answers = [ask(client, "GET", LIST, key=slow) for _ in range(4)]
        assert [answer.status_code for answer in answers][:2] == [200, 200]
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "1"
        assert ask(client, "GET", LIST, key=fast).status_code == 200


def test_a_bucket_fills_evenly():
    rates = Rates(10.0)
    for _ in range(20):
        rates.take("a", now=0.0)
    with pytest.raises(RefusedError, match="10 requests a second") as error:
        rates.take("a", now=0.0)
    assert error.value.retry_after_s == pytest.approx(0.1)
    rates.take("a", now=0.1)
    with pytest.raises(RefusedError, match="10 requests"):
        rates.take("a", now=0.1)
    for _ in range(20):
        rates.take("a", now=100.0)
    with pytest.raises(RefusedError, match="10 requests"):
        rates.take("a", now=100.0)


def test_without_keys_only_this_machine_is_listened_to(shop, capfd):
    for arguments in (["--without-keys"], []):
        if not arguments:
            path = shop.path / "kuapin.toml"
            path.write_text(
                path.read_text().replace('authentication = "required"', 'authentication = "off on loopback"')
            )
        assert run(app, ["serve", str(shop.path), "--host", "0.0.0.0", *arguments]) == 2
        assert "allowed on 127.0.0.1 alone" in capfd.readouterr().err


# -- tokens ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def with_tokens(shop, provider):
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(provider.public_key())) | {"kid": "k1", "alg": "RS256"}
    (shop.path / "jwks.json").write_text(json.dumps({"keys": [public]}))
    tokens = TokenConfig(jwks="jwks.json", issuer="https://id.example", audience="kuapin")
    with served.client(shop, keys=True, tokens=tokens) as client:
        yield client


def token(provider, *, algorithm="RS256", kid="k1", **claims):
    whole = {"iss": "https://id.example", "aud": "kuapin", "sub": USER, "exp": time.time() + 60, "scope": "recommend"}
    whole = {name: value for name, value in (whole | claims).items() if value is not None}
    return jwt.encode(whole, provider, algorithm=algorithm, headers={"kid": kid})


def test_a_token_of_the_provider_opens_what_its_scopes_say(with_tokens, provider):
    good = token(provider, scope="recommend write")
    assert ask(with_tokens, "GET", LIST, key=good).status_code == 200
    assert ask(with_tokens, "GET", "/v1/models", key=good).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "https://other"},
        {"aud": "other"},
        {"sub": None},
        {"kid": "k2"},
        {"nbf": 2**33},
    ],
)
def test_a_token_that_is_not_good_opens_nothing(with_tokens, provider, claims):
    assert ask(with_tokens, "GET", LIST, key=token(provider, **claims)).status_code == 401


def test_a_token_of_another_key_or_of_none_opens_nothing(with_tokens, provider):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert ask(with_tokens, "GET", LIST, key=token(other)).status_code == 401
    assert ask(with_tokens, "GET", LIST, key=token(None, algorithm="none")).status_code == 401
    public = provider.public_key().public_numbers().n.to_bytes(256, "big")
    assert ask(with_tokens, "GET", LIST, key=token(public, algorithm="HS256")).status_code == 401


def test_a_token_of_another_kind_than_its_key_or_with_odd_scopes_opens_nothing(with_tokens, provider):
    other = ec.generate_private_key(ec.SECP256R1())
    assert ask(with_tokens, "GET", LIST, key=token(other, algorithm="ES256")).status_code == 401
    claims = {"iss": "https://id.example", "aud": "kuapin", "sub": USER, "exp": time.time() + 60}
    for scope, status in ((None, 403), (5, 401)):
        odd = jwt.encode(claims | {"scope": scope}, provider, algorithm="RS256", headers={"kid": "k1"})
        assert ask(with_tokens, "GET", LIST, key=odd).status_code == status


def test_made_up_keys_do_not_have_the_providers_fetched_each_time(provider, monkeypatch, tmp_path):
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(provider.public_key())) | {"kid": "k1"}
    fetched = []
    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", lambda _: fetched.append(1) or {"keys": [public]})
    config = TokenConfig(jwks="https://id.example/keys", issuer="https://id.example", audience="kuapin")
    tokens = Tokens(config, tmp_path)
    for number in range(10):
        assert tokens.check(token(provider, kid=f"none {number}")) is None
    assert len(fetched) == 2  # the first time, and once for what was unknown
    assert tokens.check(token(provider)).subject == USER


def test_a_person_is_told_nothing_of_the_session_of_another(with_tokens, provider):
    key = token(provider, scope="write recommend")
    event = {"user_id": "somebody", "item_id": "B-rose-soap-small", "session_id": "s1"}
    assert ask(with_tokens, "POST", "/v1/interactions", {"interactions": [event]}, key=key).status_code == 200
    path = "/v1/users/nobody/recommendations?session_id=s1"
    assert ask(with_tokens, "GET", path, key=key).json()["basis"] == "session"
    own = token(provider, scope="recommend:self", sub="nobody")
    assert ask(with_tokens, "GET", path, key=own).json()["basis"] == "shop_popular"


def test_a_person_with_a_token_sees_the_own_list_and_no_other(with_tokens, provider):
    own = token(provider, scope="recommend:self")
    assert ask(with_tokens, "GET", LIST, key=own).status_code == 200
    assert ask(with_tokens, "GET", "/v1/users/user%20003/recommendations", key=own).status_code == 200
    assert ask(with_tokens, "GET", "/v1/recommendations?user_id=user%20004", key=own).status_code == 403
    assert ask(with_tokens, "GET", "/v1/users/user%20004/recommendations", key=own).status_code == 403
    assert ask(with_tokens, "POST", "/v1/recommendations", {}, key=own).status_code == 403
    assert ask(with_tokens, "GET", "/v1/similar?item_id=B-rose-soap-small", key=own).status_code == 403


def test_settings_of_tokens_that_do_not_fit_are_refused(shop):
    for tokens, said in (
        (TokenConfig(jwks="jwks.json"), "needs issuer and audience"),
        (TokenConfig(jwks="none.json", issuer="i", audience="a"), "cannot be read"),
        (TokenConfig(jwks="http://plain", issuer="i", audience="a"), "cannot be read"),
    ):
        with pytest.raises(InputError, match=said), served.client(shop, keys=True, tokens=tokens):
            pass


# -- limits ---------------------------------------------------------------------------------------------------------


def test_bodies_batches_and_histories_have_a_limit(shop):
    with served.client(shop, max_body_bytes=2_000, max_events=3, max_history=4) as client:
        big = client.post("/v1/interactions", content=b"x" * 2_001)
        assert (big.status_code, big.json()["error"]["code"]) == (413, "too_large")
        chunked = client.post("/v1/interactions", content=(b"x" * 500 for _ in range(9)))
        assert chunked.status_code == 413
        event = {"user_id": "u", "item_id": "i"}
        assert client.post("/v1/interactions", json={"interactions": [event] * 3}).status_code == 200
        assert client.post("/v1/interactions", json={"interactions": [event] * 4}).status_code == 422
        assert client.post("/v1/recommendations", json={"history": ["i"] * 5}).status_code == 422


def test_what_is_asked_beyond_the_deadline_is_given_up(shop):
    with served.client(shop) as client:
        batcher = client.app.state.service.batcher
        work = batcher._work
        batcher._work = lambda questions: (time.sleep(0.3), work(questions))[-1]
        answer = client.get(LIST, headers={"X-Deadline-Ms": "100"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_similar_items_have_a_deadline_too(shop, monkeypatch):
    with served.client(shop) as client:
        model = client.app.state.service.live.current.model
        monkeypatch.setattr(type(model), "similar", lambda *_, **__: time.sleep(0.5))
        answer = client.get("/v1/similar?item_id=B-rose-soap-small", headers={"X-Deadline-Ms": "50"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_too_much_at_once_is_refused_and_the_service_stays_up(shop):
    with served.client(shop, queue_ms=1, batch_users=1) as client:
        batcher = client.app.state.service.batcher
        work = batcher._work
        batcher._work = lambda questions: (time.sleep(0.05), work(questions))[-1]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get(LIST), range(16)))
        statuses = [answer.status_code for answer in answers]
        assert {200, 503} == set(statuses)
        assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
        while batcher.waiting:
            time.sleep(0.01)
        assert client.get(LIST).status_code == 200


def test_a_shop_of_another_is_not_opened_by_its_key(shop, tmp_path):
    other = served.shop(tmp_path / "other")
    text = served.key(other, "recommend")
    served.key(shop, "recommend")
    with served.client(Shop.open(shop.path), keys=True) as client:
        assert ask(client, "GET", LIST, key=text).status_code == 401
