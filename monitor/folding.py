"""One table from code point to folded code point, so that folding a text never moves its letters about.

Folding one code point to one code point keeps every offset: compatibility forms and letter case are folded,
Traditional characters become Simplified, whitespace becomes a blank, and what cannot be seen is dropped.
"""

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

DROPPED = 0  # folded value of a code point that is left out
BLANK = 32
_SIZE = 0x20000  # planes 0 and 1; later planes are left as they are
_SKIP = (
    (0x3400, 0x4DC0),
    (0x4E00, 0xA000),
    (0xAC00, 0xD7A4),
    (0xE000, 0xF900),
    (0x17000, 0x1D400),
    (0x1D800, 0x1F100),
)

# Traditional characters in the order of the Simplified ones below them; common in shop talk, not a full dictionary.
_TRADITIONAL = (
    "們個這說來時為會對過還沒後點無現實際問題東買賣貨質量價錢讓幹麼樣見聽覺話誰請謝親愛"
    "開關門間聞電腦機號碼網頁線圖書筆紙車輪運輸遞發單訂據處產業務員態試驗變態壞爛舊髒亂"
    "熱涼溫濕乾濃淡鹹鮮養雞魚鴨飯餐館麵條湯飲料藥醫療傷過敏癢腫紅綠藍銀鐵鋼鏡鎖鍵"
    "絲綢織緞褲襯裙帶鞋襪領釦針縫線頭髮臉腳體膚護霜潤騙詐偽劣賠償換維護權訴訟師報警"
    "舉證曝廣圍論壇傳聯繫絡電話資訊洩漏隱騷擾簡訊檢測標準級別參數規則寬長短厚薄輕"
    "負責認識與歡樂滿意極差評給應該當場氣憤怒難聞惡噁徹底絕後悔遠離陰溝裡嗎啊嚇"
    "廠證書籍頁張冊畫筆語學習題練幾兩萬億雙隻條種類總結繼續終於從來邊儘雖將漸斷"
    "備齊缺損壓碎裂縫補寄達慢遲拖延誤點簽收櫃驛站倉庫貯藏陳設備裝備軟硬盤顯內存"
    "創優惠減滿贈禮券獎勵費稅額貴賤虧虛誇張圖樣顏彩豐盛農場蘋葉蟲蠅螞蟻蟑螂毒"
    "飛馬鳥龍龜島國園團圓壹貳參陸廳歲曆歷師帥幣幫廟廢彈彎強歸當錄徑復懷懶戰戲戶"
    "掃掛採揀揚換損搖撿擇擊擋擔據擠擬攜攝敗敵數斂斷術樓樂樹橋檔檯殘殺毀氣決況淨淚"
    "滯滲滾漲潔澀濟濾瀏灑災煩燒燙燈營爐爭爺牆獨獲環瑣瓊畢異療瘋皺盜監盡眾睜確礙禍"
    "窮竊筍節範築篩糧紀約納純級細終組絆經綁綜維編緊緩縮繞繳罰罷羅義習聖聲職聰肅脫腸膠"
    "臨舉艱茲莊華萊蓋蔥薦蘭虛號蝦補裏製複襲訓許註詢該詳認誠誤調談諾謊謹譯讀變責貪貫貼費賀賓"
    "賞賬購贊跡踐蹤軌較載輩輯轉辦農迴適選遺鄰醜釋針釣鈔鈕鉛鉤銷鋪錶錯鍋鐘鑽閃閉閱闆陳陽階隨險隱雜靜頂項順須預頓頗領頻顆願顧風飄飽餓餘騎驚驗髒鬆鬧鬱鮮黃齒"
)
_SIMPLIFIED = (
    "们个这说来时为会对过还没后点无现实际问题东买卖货质量价钱让干么样见听觉话谁请谢亲爱"
    "开关门间闻电脑机号码网页线图书笔纸车轮运输递发单订据处产业务员态试验变态坏烂旧脏乱"
    "热凉温湿干浓淡咸鲜养鸡鱼鸭饭餐馆面条汤饮料药医疗伤过敏痒肿红绿蓝银铁钢镜锁键"
    "丝绸织缎裤衬裙带鞋袜领扣针缝线头发脸脚体肤护霜润骗诈伪劣赔偿换维护权诉讼师报警"
    "举证曝广围论坛传联系络电话资讯泄漏隐骚扰简讯检测标准级别参数规则宽长短厚薄轻"
    "负责认识与欢乐满意极差评给应该当场气愤怒难闻恶恶彻底绝后悔远离阴沟里吗啊吓"
    "厂证书籍页张册画笔语学习题练几两万亿双只条种类总结继续终于从来边尽虽将渐断"
    "备齐缺损压碎裂缝补寄达慢迟拖延误点签收柜驿站仓库贮藏陈设备装备软硬盘显内存"
    "创优惠减满赠礼券奖励费税额贵贱亏虚夸张图样颜彩丰盛农场苹叶虫蝇蚂蚁蟑螂毒"
    "飞马鸟龙龟岛国园团圆壹贰参陆厅岁历历师帅币帮庙废弹弯强归当录径复怀懒战戏户"
    "扫挂采拣扬换损摇捡择击挡担据挤拟携摄败敌数敛断术楼乐树桥档台残杀毁气决况净泪"
    "滞渗滚涨洁涩济滤浏洒灾烦烧烫灯营炉争爷墙独获环琐琼毕异疗疯皱盗监尽众睁确碍祸"
    "穷窃笋节范筑筛粮纪约纳纯级细终组绊经绑综维编紧缓缩绕缴罚罢罗义习圣声职聪肃脱肠胶"
    "临举艰兹庄华莱盖葱荐兰虚号虾补里制复袭训许注询该详认诚误调谈诺谎谨译读变责贪贯贴费贺宾"
    "赏账购赞迹践踪轨较载辈辑转办农回适选遗邻丑释针钓钞钮铅钩销铺表错锅钟钻闪闭阅板陈阳阶随险隐杂静顶项顺须预顿颇领频颗愿顾风飘饱饿余骑惊验脏松闹郁鲜黄齿"
)


@cache
def table() -> NDArray[np.uint32]:
    """Folded code point for every code point below 0x20000; `DROPPED` for what is left out."""
    folded = np.arange(_SIZE, dtype=np.uint32)
    start = 0
    for low, high in (*_SKIP, (_SIZE, _SIZE)):
        for point in range(start, low):
            folded[point] = _fold(chr(point))
        start = high
    folded[0xD800:0xE000] = 0xFFFD  # lone surrogates cannot leave the process as text
    folded[[ord(c) for c in _TRADITIONAL]] = [ord(c) for c in _SIMPLIFIED]
    return folded


def _fold(char: str) -> int:
    category = unicodedata.category(char)
    if char.isspace():
        return BLANK
    if category in {"Cc", "Cf", "Mn", "Me", "Cs"}:  # controls, zero-width, joiners, variation selectors
        return DROPPED
    composed = unicodedata.normalize("NFKC", char).casefold()
    return ord(composed) if len(composed) == 1 else ord(char)
