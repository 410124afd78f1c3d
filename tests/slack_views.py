"""Slack's forms as people send them off."""

from typing import Any


def filled(view: dict[str, Any], user: str = "U0002", **values: Any) -> dict[str, Any]:
    """The submission of a view as Slack sends it, with these fields filled in."""
    state = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            name, kind = block["block_id"], block["element"]["type"]
            got = values.get(name)
            if kind == "plain_text_input":
                told: dict[str, Any] = {"value": got or block["element"].get("initial_value")}
            elif kind == "static_select":
                told = {"selected_option": {"value": got} if got else None}
            else:
                told = {"selected_options": [{"value": one} for one in got or ()]}
            state[name] = {name: {"type": kind, **told}}
    kept = {"id": "V1", "hash": "1.1", **{name: view[name] for name in ("callback_id", "private_metadata")}}
    return {
        "type": "view_submission",
        "user": {"id": user},
        "view": kept | {name: view[name] for name in ("id", "hash") if name in view} | {"state": {"values": state}},
    }
