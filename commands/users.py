"""``user``: who may enter the desk."""

import sys
from typing import Annotated

import typer

from commands import options
from commands.root import Root, user

cli = typer.Typer(help="谁能进工作台：账号和密码。", no_args_is_help=True, rich_markup_mode=None)


@cli.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="名字；配置的 people 里有的，就是那个人")],
    role: Annotated[str, typer.Option(help="agent、lead、manager、brand 或 admin")] = "admin",
) -> int:
    """新建工作台的账号；密码从终端输入，或从标准输入的第一行读。"""
    from typing import get_args

    from alerts.desk import accounts
    from monitor import db
    from monitor.settings import Role

    app = Root.of(context).app()
    known = next((person.role for person in app.core.settings.people if person.name == name), None)
    role = known or options.known("--role", role, get_args(Role))
    with db.writing(app.core.engine) as session:
        accounts.add(session, name, role, _password(), app.core.clock.now(), user())
    typer.echo(f"{name}（{role}）可以登录了")
    return 0


@cli.command()
def password(context: typer.Context, name: str) -> int:
    """换密码；用旧密码登录着的会被请出去。"""
    from alerts.desk import accounts
    from monitor import db

    app = Root.of(context).app()
    with db.writing(app.core.engine) as session:
        accounts.set_password(session, name, _password(), app.core.clock.now(), user())
    typer.echo(f"{name} 的密码换好了")
    return 0


@cli.command()
def remove(context: typer.Context, name: str) -> int:
    """关掉一个账号；这个人做过的事都留着。"""
    from alerts.desk import accounts
    from monitor import db

    app = Root.of(context).app()
    with db.writing(app.core.engine) as session:
        accounts.remove(session, name, app.core.clock.now(), user())
    typer.echo(f"{name} 进不来了")
    return 0


@cli.command("list")
def listed(context: typer.Context, as_json: options.Json = False) -> int:
    """列出账号。"""
    from sqlmodel import col, select

    from monitor import db, printing
    from monitor.models import Account, Person

    app = Root.of(context).app()
    with db.reading(app.core.engine) as session:
        found = session.exec(
            select(Account, Person.role)
            .join(Person, col(Person.name) == Account.name, isouter=True)
            .order_by(Account.name)
        ).all()
    rows = [{"name": one.name, "role": role, "seen_at": one.seen_at and one.seen_at.isoformat()} for one, role in found]
    if as_json:
        printing.as_json({"users": rows})
        return 0
    for row in rows:
        typer.echo(f"{row['name']}\t{row['role']}")
    return 0


def _password() -> str:
    """Asked for twice at a terminal, else the first line of standard input: never an argument that others can see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("密码", hide_input=True, confirmation_prompt="再输一遍", err=True))
