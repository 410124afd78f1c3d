"""What comes in at the desk's doors without a login: callbacks of chat providers, pushes, links, cookies."""

import base64
import hashlib
import hmac
import json
from urllib.parse import quote_from_bytes, urlencode

import wecom_double
from fuzz_house import STAMP, house
from fuzzing import target
from test_alerts_desk_feishu import sealed as sealed_for_feishu


@target("json")
def slack(data: bytes) -> None:
    """Slack's clicks and forms, signed."""
    body = data[1:] if data[:1] == b"!" else urlencode({"payload": data}).encode()
    digest = hmac.new(b"slack-key", b"v0:" + STAMP.encode() + b":" + body, hashlib.sha256).hexdigest()
    said = {"x_slack_request_timestamp": STAMP, "x_slack_signature": f"v0={digest}"}
    house().ask("POST", "/slack/actions", body, **said)


@target("json")
def feishu(data: bytes) -> None:
    """Feishu's clicks, signed and sealed; a "!" in front leaves the body as it is."""
    if data[:1] == b"!":
        body = data[1:]
    else:
        try:
            body = sealed_for_feishu(json.loads(data), "feishu-key")
        except (ValueError, RecursionError):
            return
    digest = hashlib.sha256(f"{STAMP}nfeishu-key".encode() + body).hexdigest()
    said = {"x_lark_request_timestamp": STAMP, "x_lark_request_nonce": "n", "x_lark_signature": digest}
    house().ask("POST", "/feishu/actions", body, **said)


@target("json")
def dingtalk(data: bytes) -> None:
    """DingTalk's clicks."""
    stamp = f"{STAMP}000"
    digest = base64.b64encode(hmac.digest(b"ding-key", stamp.encode(), "sha256")).decode()
    said = {"x_ddpaas_signature_timestamp": stamp, "x_ddpaas_signature": digest}
    house().ask("POST", "/dingtalk/actions", data, **said)


@target()
def wecom(data: bytes) -> None:
    """WeCom's clicks: what is sealed inside, the envelope around it, and the proof of the address."""
    if data[:1] == b"!":
        house().ask("POST", "/wecom/actions", data[1:], f"timestamp={STAMP}&nonce=n&msg_signature=x")
        return
    if data[:1] == b"?":
        house().ask("GET", "/wecom/actions", b"", data[1:].decode("latin-1"))
        return
    query, body = wecom_double.envelope(data, int(STAMP))
    house().ask("POST", "/wecom/actions", body, urlencode(query))


@target("json")
def pushes(data: bytes) -> None:
    """Items of other systems, signed, and all the way into the store."""
    digest = hmac.new(b"hook-key", f"{STAMP}.".encode() + data, hashlib.sha256).hexdigest()
    said = {"x_pingshao_timestamp": STAMP, "x_pingshao_signature": f"sha256={digest}"}
    assert house().ask("POST", "/hooks/crm", data, **said) in (202, 400, 409)


@target()
def links(data: bytes) -> None:
    """Tokens of signed and guests' links, and the cookie."""
    token = quote_from_bytes(data, safe="")[:4000]
    for place in ("a", "v", "n"):
        house().ask("GET", f"/{place}/{data.decode('utf-8', 'replace')}")
        house().ask("GET", f"/{place}/{token}")
    house().ask("POST", f"/a/{token}", data)
    house().ask("GET", "/cases", b"", cookie=f"pingshao={data.decode('latin-1')}", x_user="")
    house().ask("GET", "/api/v1/me", b"", authorization=f"Bearer {data.decode('latin-1')}", x_user="")
