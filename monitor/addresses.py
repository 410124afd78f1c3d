"""How Chinese names and postal addresses look in a review: patterns for `monitor.privacy` (re.VERBOSE).

A name in free text cannot be told from other words, so a name is masked only behind a label (收货人：…) or
right before a phone number or an address. An address needs a road or building with a number; province and
city stay.
"""

HAN = "[一-龥]"
_SURNAME = (
    "(?:欧阳|司马|上官|诸葛|夏侯|皇甫|尉迟|令狐|[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭"
    "曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金贾夏韦付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史"
    "陶贺毛郝顾龚邵万覃武钱戴严莫孔汤])"
)
_NO_NAME = (
    "(?!高[兴级端档度]|方[便法式案面]|何[时必况]|金[额色属]|程[序度]|马[上桶路]|黄[色金山]|白[色天]|江[苏西阴]"
    "|任[何意务]|万一|石头|钱[款包]|于是|毛病|顾[客问]|谢谢|周[末围一二三四五六日天]|夏[天季]|许多|曾经|严重|莫名"
    "|陈旧|苏[宁州]|武汉|史上|付[款钱]|余额|段时|张家港|唐山|徐州|温州|郑州)"
)
_PROVINCE = (
    "(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川"
    "|贵州|云南|陕西|甘肃|青海|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|台湾)"
)
_STOP = r"，。！？；,!?;\n\[\]"
_ROAD = "(?:路|街|大道|巷|弄|胡同|村|园|苑|厦|坊|小区|公寓|宿舍|社区)"
_NUMBER = r"[特附]?[\dA-Za-z一二三四五六七八九十百零〇\-－]{1,6}\s?"
_ROOM = rf"(?<!第)(?:{_NUMBER}(?:栋|幢|号楼|单元|室)|[A-Za-z\d]{{1,3}}座)"
# 路12号 is a door, 路上3号发货 and 小区3号才到 are dates.
_DOOR = rf"{_ROAD}\s?{_NUMBER}[号弄](?![才发收到下就早晚之以开前后])"
_REST = rf"""(?:[\s,，]?{HAN}{{0,8}}?{_NUMBER}(?:号楼?|[弄栋幢座室楼层户房组铺]|单元)
    |[\s-]?\d{{1,4}}(?:-\d{{1,4}}){{0,2}}(?!\d))*"""
# Words that stand before an address and in no place's name.
_PLACE_HAN = "(?:(?![在到往至是住寄给发我于从去送了的们你他她它])[一-龥])"

REGION = rf"""(?:{_PROVINCE}(?:省|市|(?:维吾尔|壮族|回族)?自治区|特别行政区)?[\s,，]{{0,2}}
    (?:{HAN}{{2,7}}?(?:市|自治州|地区|盟))?|{HAN}{{2,4}}?市)"""

ADDRESS = rf"""{REGION}[\s,，]{{0,2}}(?:{HAN}{{1,7}}?[区县市旗镇乡][\s,，]{{1,2}}){{0,3}}
    [^{_STOP}的是了在]{{0,24}}?(?:{_DOOR}|{_ROOM}){_REST}
    |{_PLACE_HAN}{{2,10}}?(?:{_DOOR}{HAN}{{0,8}}?|{_ROAD}\s?){_ROOM}{_REST}"""

ADDRESS_LABEL = r"(?:地址|住址)(?:[写填][的了]?)?\s?[:：是为]{1,2}\s?"
LABELLED_ADDRESS = rf"""(?=[^{_STOP}]{{0,60}}[路街道巷弄村镇乡区县苑园栋幢室号楼])
    (?=[^{_STOP}]{{0,60}}[\d十百一二三四五六七八九])[^{_STOP}]{{4,60}}?
    (?=$|[{_STOP}]|\s*(?:订单|电话|手机|收货|收件|姓名|联系|邮编|微信|QQ|[:：]|(?<!\d)1[3-9]\d{{9}}))"""

_NAME = rf"{_NO_NAME}{_SURNAME}{HAN}"
_NAME_END = rf"(?:(?!{HAN})|(?=电话|手机|地址|联系|身份|收|微信))"
_WHO = "(?:收货人|收件人|寄件人|联系人|签收人|姓名|真名)(?:姓名|名字)?"

NAME_LABEL = rf"{_WHO}\s?[:：]\s?"
LABELLED_NAME = rf"(?:{HAN}{{2,4}}?{_NAME_END}|{_SURNAME}{HAN}{{2}})"

WEAK_NAME_LABEL = rf"(?:{_WHO}|名字叫?|我叫)[是为叫\s]{{0,2}}"
WEAKLY_LABELLED_NAME = rf"{_NAME}{{1,2}}?{_NAME_END}"

NAME_BEFORE_CONTACT = rf"""(?:(?<!{HAN})|(?<=我是)){_NAME}{{1,2}}
    (?=[\s,，、;；:：(（【]{{0,3}}(?:(?:联系)?(?:电话|手机)(?:号码?)?[:：是\s]{{0,2}})?
    (?:(?:\+?86[\s-]?)?1[3-9]\d[\d*\s-]{{8}}|(?<!{HAN}){_PROVINCE}[^。！？]{{2,40}}?(?:[号室栋幢]|\[地址)))"""
