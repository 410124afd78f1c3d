"""Personal data is masked before anything is stored; order numbers stay, because staff need them.

One pattern of alternatives reads the text once, from left to right; at each place the first rule that fits
wins, and what a rule took no other rule sees. Hence their order:

1. Our own masks and numbers called order numbers, before anything can take them for a card: they stay.
2. Email, WeChat, QQ, 旺旺: told by a sign or label, before their digits are taken for a phone.
3. Tracking numbers, then labelled ID and bank cards and phones: with a label no checksum is asked for.
4. Names, then addresses: a name is one because of its label or of the phone or address behind it.
5. Any other digits, told by shape and checksum (`monitor.digits`).

This is repeated until nothing changes, so that masking twice is masking once.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from monitor import addresses
from monitor.digits import BETWEEN, DIGIT, MASKED, keep_ends, personal, plain
from monitor.text import clean

HIDDEN = "[已隐去]"
ADDRESS_HIDDEN = "[地址已隐去]"
ANONYMOUS = "匿名"


class Masked(NamedTuple):
    """A text safe to store.

    Attributes:
        text: The text with personal data masked.
        kinds: What was masked, each once, by first appearance: ``phone, id_card, bank_card, email, wechat,
            qq, wangwang, tracking, name, address``.
    """

    text: str
    kinds: tuple[str, ...]


class _Rule(NamedTuple):
    kind: str  # "" keeps what it finds
    label: str  # pattern of what stays in front
    value: str  # pattern of what is shown masked
    show: Callable[[str], str]


def _hidden(_: str) -> str:
    return HIDDEN


def _email(value: str) -> str:
    sign = _at.search(value)
    return value[0] + "***" + value[sign.start() if sign else 1 :]


def _tracking(value: str) -> str:
    code = re.match("[A-Za-z]*", value)
    return keep_ends(value, 3 if re.fullmatch(r"1[3-9]\d{9}", value) else len(code[0]) if code else 0)


def _address(value: str) -> str:
    region = _region.match(value)
    kept = region[0].rstrip(" ,，") if region else ""
    return value if kept == value else kept + ADDRESS_HIDDEN


def _name(value: str) -> str:
    return value[0] + "*" * (len(value) - 1)


_IS = r"[\s:：\#=]{0,3}(?:就?[是为][\s:：]?)?"
_AT = r"""\s?(?:[@＠]|[(（\[【]\s?at\s?[)）\]】]|艾特|圈[aA])\s?
    |(?:\s(?:at|AT)\s|\s?\#\s?)(?=(?:qq|1\d\d|gmail|hotmail|outlook|sina|foxmail)(?![A-Za-z0-9]))"""
_LOCAL = "[A-Za-z0-9._%+-]"
_HOST = r"""(?:[A-Za-z0-9-]{1,63}\s?(?:[.。．点]|dot)\s?){1,4}
    (?i:com|cn|net|org|edu|gov|top|vip|me|io|hk|tw)(?![A-Za-z])"""
_NO_EMAIL = rf"(?!{_LOCAL}{{0,64}}(?:{_AT}){_HOST})"
_NUMERALS = rf"{DIGIT}(?:{BETWEEN}{DIGIT})"
_ID = "[A-Za-z][A-Za-z0-9_-]{5,19}"
_COURIER = "(?:顺丰|圆通|中通|申通|韵达|极兔|邮政|德邦|百世|京东)(?:快递|速运|物流)?"

_RULES = (
    _Rule("", "", MASKED, str),
    _Rule(
        "",
        r"(?:(?:订单|定单|下单|交易)(?:编号|号码?|(?i:id))|(?i:order)\s*(?i:number|no\.?|id|\#)"
        rf"|(?:订单|(?i:order))(?!\D{{0,4}}1[3-9]\d{{9}}(?!\d))){_IS}",
        r"[A-Za-z]{0,4}\d[\d-]{5,30}(?:[、,，和\s]{1,2}\d{12,30})*",
        str,
    ),
    _Rule("email", "", rf"(?<!{_LOCAL}){_LOCAL}++(?:{_AT}){_HOST}", _email),
    _Rule(
        "wechat",
        r"(?:[微威薇徽维][信芯❤]|(?<![A-Za-z])(?:[vV][xX信]|[wW][xX](?:id)?|(?i:wechat|weixin))"
        rf"|加\s?[vV](?![A-Za-z])|(?<![A-Za-z])[vV](?=[:：])|[加我]\s?[微薇]|绿泡泡?)\s?(?:同?号码?|[账帐]号|(?i:id))?{_IS}",
        rf"(?:(?:(?<=[:：=号])|(?<=号[是为])){_ID}|(?<=[\s是为信芯❤微薇泡]){_ID}(?<=[\d_-])|{_NUMERALS}{{5,18}})(?![A-Za-z0-9_])",
        _hidden,
    ),
    _Rule("wechat", "", r"(?<![A-Za-z])wxid_\w{6,30}", _hidden),
    _Rule(
        "qq",
        rf"(?:(?<![A-Za-z])[qQ]{{1,2}}|扣扣|加扣|企鹅|球球|秋秋|叩叩)\s?群?号?码?{_IS}加?",
        rf"{_NUMERALS}{{4,10}}(?!\s?[元块%天])",
        _hidden,
    ),
    _Rule(
        "wangwang",
        r"旺旺\s?(?:(?:号|名|(?i:id)|账号|昵称)[\s:：]{0,2}(?:[是为]\s?)?"
        r"|[:：]\s?(?=[^\s，。！？；、]{0,20}[A-Za-z0-9_]))",
        r"[^\s，。！？；、,!?;\[]{2,25}",
        _hidden,
    ),
    _Rule("wangwang", "(?<![A-Za-z0-9])tb", r"\d{6,12}(?!\d)", _hidden),
    _Rule(
        "tracking",
        rf"(?:(?:快递|物流|包裹|运|邮件)单号?|(?<![订定下])单号|(?:快递|物流|包裹)(?:编?号)|运单编?号|{_COURIER}(?:运?单号?|号)?){_IS}",
        r"[A-Za-z]{0,4}\d{8,20}(?!\d)",
        _tracking,
    ),
    _Rule(
        "tracking",
        "(?<![A-Za-z0-9])",
        r"(?:SF|YT|JD[A-Z]{0,2}|ZTO|STO|YD|JT|DPK?|EMS|E[A-Z])\d{9,15}(?!\d)",
        _tracking,
    ),
    _Rule(
        "id_card",
        r"身份证(?:号码?)?[^\d，。]{0,4}",
        r"(?:\d{17}[\dXxＸｘ]|\d{15})(?!\d)",
        lambda value: keep_ends(value, 3),
    ),
    _Rule(
        "bank_card",
        r"(?:卡号|银行卡?|(?:信用|储蓄|借记)卡|[账帐]号|账户)[^\d，。]{0,6}",
        r"\d(?:[\s-]?\d){12,18}(?!\d)",
        lambda value: keep_ends(plain(value), 4),
    ),
    _Rule(
        "phone",
        r"(?:电话|座机|固话|热线|手机|(?i:tel))(?:号码?)?[\s:：是为]{0,3}",
        r"[2-8]\d{2,3}-?\d{4}(?![\d-])",
        lambda value: keep_ends(value[-4:], 0),
    ),
    _Rule("name", addresses.NAME_LABEL, addresses.LABELLED_NAME, _name),
    _Rule("name", addresses.WEAK_NAME_LABEL, addresses.WEAKLY_LABELLED_NAME, _name),
    _Rule("name", "", addresses.NAME_BEFORE_CONTACT, _name),
    _Rule("address", addresses.ADDRESS_LABEL, addresses.LABELLED_ADDRESS, _address),
    _Rule("address", "", addresses.ADDRESS, _address),
)
# Digits that no rule above took; an email's own digits are left to its rule.
_RUN = rf"{_NO_EMAIL}{DIGIT}(?:{BETWEEN}(?!{MASKED}){_NO_EMAIL}{DIGIT})*(?:[XxＸｘ](?![A-Za-z0-9]))?"

_at = re.compile(_AT, re.VERBOSE)
_region = re.compile(addresses.REGION, re.VERBOSE)
_rules = re.compile(
    "|".join(f"(?P<r{i}>(?P<l{i}>{rule.label})(?:{rule.value}))" for i, rule in enumerate(_RULES)) + f"|{_RUN}",
    re.VERBOSE,
)
# No rule fits a text without one of these; most reviews are done here.
_hint = re.compile(
    rf"[@＠❤]|艾特|圈[aA]|[(（\[【\s](?:at|AT)|[微威薇徽维][信芯]|[加我]\s?[微薇]|绿泡|#\s?(?:qq|1\d\d)|[vVxX][xX信:：]|[wW][xX]|(?i:wechat|weixin)|加\s?[vV]"
    rf"|[qQ]|扣扣|加扣|企鹅|球球|秋秋|叩叩|旺旺|tb\d|收货人|收件人|寄件人|联系人|签收人|姓名|真名|名字|我叫|[地住]址"
    rf"|(?:{DIGIT}|[A-Za-z十百])\s?(?:[号弄栋幢座室]|单元)|{_NUMERALS}{{6}}",
)


def mask(text: str) -> Masked:
    """Mask personal data in a text of any kind, cleaned or not.

    Returns:
        The masked text and the kinds found. ``mask(mask(x).text).text == mask(x).text``.
    """
    if not _hint.search(text):
        return Masked(text, ())
    kinds: dict[str, None] = {}
    before = None
    while text != before:
        before, text = text, _rules.sub(lambda found: _shown(found, kinds), text)
    return Masked(text, tuple(kinds))


def _shown(found: re.Match[str], kinds: dict[str, None]) -> str:
    """What stands in the stored text for one match; notes its kind where something was hidden."""
    if found.lastgroup is None:
        return _run(found[0], kinds)
    number = int(found.lastgroup[1:])
    rule, label = _RULES[number], found[f"l{number}"]
    value = found[0][len(label) :]
    shown = rule.show(value)
    if shown != value:
        kinds[rule.kind] = None
    return label + shown


def _run(run: str, kinds: dict[str, None]) -> str:
    end, parts = 0, []
    for number in personal(run):
        parts += [run[end : number.start], number.masked]
        end = number.end
        kinds[number.kind] = None
    return "".join([*parts, run[end:]])


def author_hash(author: str, platform: str, salt: bytes) -> str:
    """A pseudonym for an author, the same for the same author, platform and salt: HMAC-SHA256, 32 hex digits.

    An author without a name has none and gives "".

    Raises:
        ValueError: The salt is empty: anyone could find the name by trying.
    """
    if not salt:
        raise ValueError("salt must not be empty")
    if not author.strip():
        return ""
    message = f"{platform}\0{author.strip()}".encode("utf-8", "surrogatepass")
    return hmac.digest(salt, message, hashlib.sha256).hex()[:32]


_masked_nickname = re.compile(r"[^*]{0,4}\*+[^*]{0,4}(?:[(（]匿名[)）])?")


def mask_nickname(author: str) -> str:
    """A name staff recognise but cannot look up: 李**明; of two characters 李*, of one *; none is 匿名."""
    name = clean(author)
    if not name:
        return ANONYMOUS
    if name == ANONYMOUS or _masked_nickname.fullmatch(name):
        return name
    return f"{name[0]}**{name[-1]}" if len(name) > 2 else name[0] * (len(name) - 1) + "*"  # noqa: PLR2004 — as said above
