import asyncio
import hashlib
import json
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from agent import service as service_module
from agent.csr import CheckedRequest, check_csr, make_csr
from agent.enroll_policy import plan_approve, plan_remove
from agent.protocol import CA_HEADER, Facts, Heartbeat, RenewRequest
from agent.records import node_key, parse_node, parse_token, render_record, token_key
from agent.store import PREFIX, MemoryStore, Store, StoreError
from tests.unit import enroll_fakes, http_servers
from tests.unit.enroll_fakes import NOW, TOKEN, Ca, Member, Node, in_loop

_closed_world = http_servers.closed_world
_cheap_hashes = enroll_fakes.cheap_hashes
HEARTBEAT = Heartbeat(fqdn="n1.example.test", state="ok").model_dump_json()
ENROLL = "/v1/enroll"


async def record(store: Store, node: Node) -> Any:
    return parse_node((await store.read_all())[0], node.id)


@in_loop
async def test_from_the_token_to_the_join(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        tls = await member.approved(node)
        path = f"/v1/nodes/{node.id}"
        standing = await member.ask("GET", f"{ENROLL}/{node.id}")
        assert standing[0] == 200
        assert standing[1]["ca"] == member.ca.certificate
        assert x509.load_pem_x509_certificate(standing[1]["certificate"].encode()).public_key() == (
            node.key.public_key()
        )
        # Before Incus says so, nothing that only members may do.
        assert (await member.ask("POST", f"{path}/joined", tls=tls))[1]["code"] == "not-a-member"
        assert (await member.ask("PUT", f"{path}/heartbeat", HEARTBEAT, tls))[1]["code"] == "not-a-member"
        for secret in ("/v1/ca/key", "/v1/status"):
            assert (await member.ask("GET", secret, tls=tls))[1]["code"] == "not-a-member"
        status, join = await member.ask("POST", f"{path}/join", tls=tls)
        assert (status, join["server_name"], join["cluster_token"]) == (200, "n1", "T")


@in_loop
async def test_what_a_node_in_the_cluster_gets(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        token = await member.add_token()
        tls = await member.serve_node(node)
        path = f"/v1/nodes/{node.id}"
        assert (await member.ask("POST", f"{path}/joined", tls=tls))[1]["state"] == "joined"
        assert (await member.ask("POST", f"{path}/join", tls=tls))[1]["code"] == "not-approved"
        assert member.cluster.invited == []
        status, beat = await member.ask("PUT", f"{path}/heartbeat", HEARTBEAT, tls)
        assert (status, beat["time"], beat["ca"]) == (200, NOW, member.ca.certificate)
        assert beat["urls"] == ["https://m1:8007", "https://n1.example.test:8007"]
        digest = hashlib.sha256(member.ca.bundle().encode()).hexdigest()
        beat = (await member.ask("PUT", f"{path}/heartbeat", HEARTBEAT, tls, {CA_HEADER: digest}))[1]
        assert beat["ca"] == ""
        # No date, and `slipway node show` would end there.
        odd = json.dumps({**json.loads(HEARTBEAT), "certificate_expires": 10**15})
        assert (await member.ask("PUT", f"{path}/heartbeat", odd, tls))[1]["code"] == "malformed"
        assert (await member.ask("GET", "/v1/ca/key", tls=tls))[1]["key"] == member.ca.key()
        shown = (await member.ask("GET", "/v1/status", tls=tls))[1]["nodes"]
        assert [(one["id"], one["state"], one["seen"], one["heartbeat"]["state"]) for one in shown] == [
            (node.id, "serving", NOW, "ok")
        ]
        del member.cluster.names["n1"]
        assert (await member.ask("GET", "/v1/ca/key", tls=tls))[1]["code"] == "not-a-member"
        values = (await member.store.read_all())[0]
        assert set(values) == {node_key(node.id), token_key(token)}
        assert TOKEN not in "".join(values.values())


@in_loop
async def test_the_ca_is_public(tmp_path: Path) -> None:
    async with Member(tmp_path).serving() as member:
        status, reply = await member.ask("GET", "/v1/ca")
        assert (status, reply["ca"]) == (200, member.ca.certificate)
        assert len(reply["fingerprint"]) == 95


@in_loop
async def test_a_node_that_asks_again_takes_nothing_and_needs_no_token(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token(uses=1)
        body = node.request().model_dump_json()
        first = await member.ask("POST", ENROLL, body)
        etag = (await member.store.read_all())[1]
        member.now += 3600
        # Replayed to the byte; with a new CSR; with a token that is none: the key is what counts.
        for again in (body, node.request().model_dump_json(), node.request("x" * 43).model_dump_json()):
            assert await member.ask("POST", ENROLL, again) == first
        assert (await member.store.read_all())[1] == etag
        assert member.ca.signed == 2  # with the member's own


@in_loop
async def test_many_at_once_take_no_more_uses_than_there_are(tmp_path: Path) -> None:
    nodes = [Node(f"n{number}.example.test") for number in range(6)]
    member = Member(tmp_path)
    token = await member.add_token(uses=2)
    requests = [member.service.enroll(node.request()) for node in nodes for _ in range(2)]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    taken = {answer.id for answer in answers if not isinstance(answer, BaseException)}
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(taken) == 2
    assert {getattr(one, "refusal").code for one in refused} == {"token-used-up"}  # noqa: B009
    values = (await member.store.read_all())[0]
    kept = parse_token(values, token)
    assert kept is not None
    assert set(kept.used_by) == taken
    assert set(values) == {token_key(token), *map(node_key, taken)}


@in_loop
async def test_approval_by_hand(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token(approval="manual")
        status, reply = await member.enroll(node)
        assert (status, reply["state"], reply["certificate"]) == (200, "requested", "")
        assert f"slipway node approve {node.id}" in reply["reason"]
        values, etag = await member.store.read_all()
        waiting = parse_node(values, node.id)
        assert waiting is not None
        approved = plan_approve(waiting, {}, NOW)
        checked = check_csr(approved.csr, approved.facts)
        assert isinstance(checked, CheckedRequest)
        signed = approved.model_copy(update={"certificate": member.ca.sign(checked)})
        await member.store.write_all(render_record(signed), etag)
        status, reply = await member.ask("GET", f"{ENROLL}/{node.id}")
        assert (status, reply["state"], reply["certificate"]) == (200, "approved", signed.certificate)


@in_loop
async def test_a_removed_node_is_told_so_whatever_it_asks(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        tls = await member.serve_node(node)
        removed = plan_remove(await record(member.store, node), NOW)
        await member.store.write_all(render_record(removed), (await member.store.read_all())[1])
        path = f"/v1/nodes/{node.id}"
        renew = RenewRequest(csr=node.csr()).model_dump_json()
        answers = [
            await member.enroll(node),
            await member.ask("GET", f"{ENROLL}/{node.id}"),
            await member.ask("POST", f"{path}/join", tls=tls),
            await member.ask("POST", f"{path}/renew", renew, tls),
            await member.ask("PUT", f"{path}/heartbeat", HEARTBEAT, tls),
            await member.ask("GET", "/v1/ca/key", tls=tls),
            await member.ask("GET", "/v1/status", tls=tls),
        ]
        assert [(status, reply["code"], reply["retry_seconds"]) for status, reply in answers] == [
            (410, "removed", None)
        ] * 7


@in_loop
async def test_a_renewed_certificate_is_the_one_that_is_told(tmp_path: Path) -> None:
    node, other = Node(), Node("n2.example.test")
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        tls = await member.serve_node(node)
        path = f"/v1/nodes/{node.id}/renew"
        old = (await record(member.store, node)).certificate
        status, reply = await member.ask("POST", path, RenewRequest(csr=node.csr()).model_dump_json(), tls)
        assert status == 200
        assert reply["certificate"] != old
        assert (await member.ask("GET", f"{ENROLL}/{node.id}"))[1]["certificate"] == reply["certificate"]
        renamed = make_csr(node.key, other.facts)
        for csr, code in (
            (make_csr(other.key, node.facts), "csr-invalid"),
            (renamed, "csr-name"),
            ("", "csr-invalid"),
        ):
            body = RenewRequest(csr=csr).model_dump_json()
            assert (await member.ask("POST", path, body, tls))[1]["code"] == code


MTLS = [("POST", "join"), ("POST", "joined"), ("PUT", "heartbeat"), ("POST", "renew")]


@in_loop
async def test_who_asks_is_told_by_the_certificate_alone(tmp_path: Path) -> None:
    node, other, stranger = Node(), Node("n2.example.test"), Node("n3.example.test")
    async with Member(tmp_path).serving() as member:
        await member.add_token(uses=2)
        tls, another = await member.approved(node), await member.approved(other)
        paths = [(method, f"/v1/nodes/{node.id}/{what}") for method, what in MTLS]
        for method, path in paths:
            for client in (None, another):
                status, reply = await member.ask(method, path, HEARTBEAT, client)
                assert (status, reply["code"]) == (403, "not-this-node")
        for path in ("/v1/ca/key", "/v1/status"):
            assert (await member.ask("GET", path))[1]["code"] == "not-this-node"
        # Of this cluster's CA, but of no node that it knows.
        issued = member.ca.issue(stranger.key.public_key(), stranger.names)
        unknown = stranger.client(tmp_path, issued)
        for method, path in (("GET", "/v1/ca/key"), ("POST", f"/v1/nodes/{stranger.id}/join")):
            assert (await member.ask(method, path, tls=unknown))[1]["code"] == "node-unknown"
        # Of another CA that has the same name, with the key of a node that is known.
        foreign = node.client(tmp_path, Ca().issue(node.key.public_key(), node.names))
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await member.ask("POST", f"/v1/nodes/{node.id}/join", tls=foreign)
        assert (await member.ask("POST", f"/v1/nodes/{node.id}/join", tls=tls))[0] == 200
        member.ca.void = {node.id}
        assert (await member.ask("POST", f"/v1/nodes/{node.id}/join", tls=tls))[1]["code"] == "not-this-node"


@in_loop
async def test_the_trusted_authorities_can_be_exchanged_while_it_runs(tmp_path: Path) -> None:
    node, second = Node(), Ca()
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        old = await member.approved(node)
        path = f"/v1/nodes/{node.id}/join"
        new_certificate = second.issue(node.key.public_key(), node.names)
        member.ca.more = second.certificate
        member.reload()
        new = node.client(tmp_path, new_certificate)
        assert (await member.ask("POST", path, tls=old))[0] == 200
        assert (await member.ask("POST", path, tls=new))[0] == 200
        member.ca.certificate, member.ca.more = second.certificate, ""
        member.reload()
        assert (await member.ask("POST", path, tls=new))[0] == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await member.ask("POST", path, tls=old)


@in_loop
async def test_guesses_are_few_and_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = tried = 0

    def guess(*_: object) -> bool:
        nonlocal at_once, most, tried
        at_once, tried = at_once + 1, tried + 1
        most = max(most, at_once)
        time.sleep(0.001)
        at_once -= 1
        return False

    monkeypatch.setattr(service_module, "is_secret_of", guess)
    # A slow machine needs long enough for another guess to be allowed.
    monkeypatch.setattr(service_module, "GUESSES_PER_SECOND", 0.001)
    member = Member(tmp_path)
    await member.add_token()
    nodes = [Node() for _ in range(service_module.GUESSES_AT_ONCE + 8)]
    answers = await asyncio.gather(
        *(member.service.enroll(node.request()) for node in nodes), return_exceptions=True
    )
    codes = [getattr(answer, "refusal").code for answer in answers]  # noqa: B009
    assert codes.count("token-unknown") == tried == service_module.GUESSES_AT_ONCE
    assert codes.count("rate-limited") == 8
    assert most == 1


@in_loop
async def test_guesses_that_name_no_token_keep_nobody_out(tmp_path: Path) -> None:
    member = Member(tmp_path)
    await member.add_token()
    stranger = Node().request("x" * 43)
    for _ in range(service_module.GUESSES_AT_ONCE + 8):
        with pytest.raises(service_module.RefusedError, match="does not know this token"):
            await member.service.enroll(stranger)
    assert (await member.service.enroll(Node().request())).state == "approved"


@in_loop
async def test_a_node_that_lost_its_state_and_has_used_its_token_is_told_where_it_stands(
    tmp_path: Path,
) -> None:
    node = Node()
    member = Member(tmp_path)
    await member.add_token(approval="manual")
    assert (await member.service.enroll(node.request())).state == "requested"
    node.facts = node.facts.model_copy(update={"version": "2"})
    assert (await member.service.enroll(node.request(""))).state == "requested"
    node.facts = node.facts.model_copy(update={"fqdn": "n9.example.test"})
    with pytest.raises(service_module.RefusedError, match="is enrolled as n1"):
        await member.service.enroll(node.request(""))


@in_loop
async def test_a_node_that_incus_has_lost_may_join_again(tmp_path: Path) -> None:
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        await member.serve_node(node)
        with pytest.raises(service_module.RefusedError, match="has joined already"):
            await member.service.join(node.id)
        del member.cluster.names["n1"]
        assert (await member.service.join(node.id)).server_name == "n1"
        assert member.cluster.invited == [("n1", node.facts.address)]


@pytest.mark.parametrize("token", ["", "x" * 43, "ü" * 43, TOKEN + "A", TOKEN[:-1], TOKEN.swapcase()])
@in_loop
async def test_a_token_that_is_none(tmp_path: Path, token: str) -> None:
    member = Member(tmp_path)
    await member.add_token()
    with pytest.raises(service_module.RefusedError) as caught:
        await member.service.enroll(Node().request(token))
    assert caught.value.refusal.code == "token-unknown"


@in_loop
async def test_a_token_with_the_same_id_is_not_the_token(tmp_path: Path) -> None:
    member = Member(tmp_path)
    token = await member.add_token()
    values, etag = await member.store.read_all()
    other = values[token_key(token)].replace('"salt":"00', '"salt":"01')
    await member.store.write(token_key(token), other, etag)
    with pytest.raises(service_module.RefusedError, match="does not know this token"):
        await member.service.enroll(Node().request())


class BrokenStore(MemoryStore):
    error: Exception = StoreError("Incus: gone s3cret")

    async def read_all(self, prefix: str = PREFIX) -> tuple[dict[str, str], str]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(StoreError("s3cret"), 503), (OSError("s3cret"), 503), (KeyError("s3cret"), 500)]
)
@in_loop
async def test_a_fault_of_the_member_is_told_without_its_insides(
    tmp_path: Path, error: Exception, status: int
) -> None:
    store = BrokenStore()
    store.error = error
    async with Member(tmp_path, store).serving() as member:
        found, reply = await member.enroll(Node())
        assert (found, reply["code"], reply["retry_seconds"]) == (status, "unavailable", 10)
        assert "s3cret" not in json.dumps(reply)


@in_loop
async def test_the_token_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    node = Node()
    async with Member(tmp_path).serving() as member:
        await member.add_token()
        assert (await member.enroll(node))[0] == 200
        assert (await member.enroll(Node("n1.other.test")))[1]["code"] == "token-used-up"
        wrong = node.request().model_copy(update={"facts": Facts(fqdn="x" * 64, address="::1")})
        assert (await member.ask("POST", ENROLL, wrong.model_dump_json()))[1]["code"] == "malformed"
    assert f"node n1.example.test ({node.id}): approved" in caplog.text
    assert TOKEN not in caplog.text
