"""What the refusals of the Chinese platforms mean: to renew, to apply for a right, to wait, or a fault."""

import re
from collections.abc import Collection

from crawler.bases.base import AttentionError, EndedError, SourceError, ThrottledError

_CREDENTIAL = r"(?:session|token|授权|令牌)"
_ENDED = r"(?:expire|invalid|not.?exist|过期|失效|无效|不存在)"
_RENEW = re.compile(f"{_CREDENTIAL}.*{_ENDED}|{_ENDED}.*{_CREDENTIAL}", re.IGNORECASE)
_DENIED = re.compile(r"permission|无权|权限|denied|unauthori[sz]ed", re.IGNORECASE)
_BUSY = re.compile(r"limit|too (?:many|fast|frequent)|频率|频繁|限流|流控|超限|稍后|busy|繁忙", re.IGNORECASE)
_BAN = re.compile(r"last for (\d+) more second", re.IGNORECASE)


def refusal(
    what: str, code: object, said: str, variable: str, *, renew: Collection[str] = (), busy: Collection[str] = ()
) -> SourceError:
    """What to raise for a refusal.

    Args:
        what: The method that was called.
        code: The platform's code.
        said: Its own words, all of them.
        variable: The variable of the environment that holds the shop's authorization.
        renew: Codes that mean that the authorization has ended.
        busy: Codes that mean that it has to be asked more slowly, or again.
    """
    message = f"{what}：平台回答 {code} {said}".rstrip()
    named = _BAN.search(said)
    if named or str(code) in busy:
        return ThrottledError(message, float(named[1]) if named else 0.0)
    if str(code) in renew or _RENEW.search(said):
        return EndedError(f"{message}；授权已失效，请店铺重新授权，更新环境变量 {variable} 后重启服务")
    if _DENIED.search(said):
        return AttentionError(f"{message}；请在开放平台为应用申请这个接口的权限")
    if _BUSY.search(said):
        return ThrottledError(message)
    return SourceError(message)
