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
    "劃螢賴騰寶鹽醬滷餅餃饅鍊鏈釘鈴鋁銅錫鏟籃籠籤縣區鄉鎮灣歐韓導遊覽櫥磚燭墊窩擺櫻檸蘿薑醃煉燉燜鹼釀鈣鋅瘡膿癬頸臟膽腎齡嬰兒孫媽婦夥儀侶倆偵側傑"
    "債傾僅儉儲兌兇凍凱刪剛剝劑勁動勝勞勢勸匯協卻厭厲叢啟喚喪嗆嘆嘔嘗嘩嚐嚴囑囉塊塗墜壺壽夠夢夾奪奮妝娛嬌寧審寫寵專尋屆屜屢層屬崗嶄帳廁廂廈廚彌彙"
    "徵恆恥悅悶惱慘慚慣慮慶憂憐憑憶懇懲懸懼戀拋捨捲揮搶摟摺撈撐撥撫撲擁擰擱擴攔攤攪暈暢暫曉曬棄棗棟楊榮構槍樸橢橫欄殼毆淺湊滅漁漢漿潑潛澆濫濱濺瀉"
    "瀝灘烏煙燦燴牽狀狹獻瑪疊癒瞞礦祕禿稱穀積穩競籌糾紋紛紡紹絨統緒緣緻縱績繃繡繩繪纏纖罵羨翹脅脈脹膩興艙艷藝葷蒼蓮蘆蘇蝕蝸蠟蠶衛衝視觀觸計討託記"
    "訝訪診詞誌課諒譜議譽讚豎豬貓財貧販貸賊賺賽贏趕蹟輔輛辭連週進違遙遜邁邏郵鈍銳鋒錦鐲鑑鑰鑲閒闊陣隊雲霧靈靚頑飼飾餵饋饞駕駐鬍鵝鷄麗麥黴餿瀟訛誘"
    "堅壯蠻臺爾鹵鬥搗蔭聳穢瀰濘皰瘓撓脣甦癮暱贗竅嘍繽憊賂賄隸譴譏諷誣謠謾喫彷纔牠妳祂佈佔併倖剎劍勻嚮姦廄慾拚挾撢敘昇朮椏氾洶淒湧滌溼燻犢畝瞭砲窯"
    "竈粧糰糢綑縴罈羶臘蔴薔蘚蛻蝨衕裊褻覈諮贓跼蹺躉躪軋醞鉋鏽銹隴靨韌餚鬚魷鮭鱸鯊鱔鮪鵪鴿麴"
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
    "划萤赖腾宝盐酱卤饼饺馒链链钉铃铝铜锡铲篮笼签县区乡镇湾欧韩导游览橱砖烛垫窝摆樱柠萝姜腌炼炖焖碱酿钙锌疮脓癣颈脏胆肾龄婴儿孙妈妇伙仪侣俩侦侧杰"
    "债倾仅俭储兑凶冻凯删刚剥剂劲动胜劳势劝汇协却厌厉丛启唤丧呛叹呕尝哗尝严嘱啰块涂坠壶寿够梦夹夺奋妆娱娇宁审写宠专寻届屉屡层属岗崭帐厕厢厦厨弥汇"
    "征恒耻悦闷恼惨惭惯虑庆忧怜凭忆恳惩悬惧恋抛舍卷挥抢搂折捞撑拨抚扑拥拧搁扩拦摊搅晕畅暂晓晒弃枣栋杨荣构枪朴椭横栏壳殴浅凑灭渔汉浆泼潜浇滥滨溅泻"
    "沥滩乌烟灿烩牵状狭献玛叠愈瞒矿秘秃称谷积稳竞筹纠纹纷纺绍绒统绪缘致纵绩绷绣绳绘缠纤骂羡翘胁脉胀腻兴舱艳艺荤苍莲芦苏蚀蜗蜡蚕卫冲视观触计讨托记"
    "讶访诊词志课谅谱议誉赞竖猪猫财贫贩贷贼赚赛赢赶迹辅辆辞连周进违遥逊迈逻邮钝锐锋锦镯鉴钥镶闲阔阵队云雾灵靓顽饲饰喂馈馋驾驻胡鹅鸡丽麦霉馊潇讹诱"
    "坚壮蛮台尔卤斗捣荫耸秽弥泞疱痪挠唇苏瘾昵赝窍喽缤惫赂贿隶谴讥讽诬谣谩吃仿才它你他布占并幸刹剑匀向奸厩欲拼挟掸叙升术丫泛汹凄涌涤湿熏犊亩了炮窑"
    "灶妆团模捆纤坛膻腊麻蔷藓蜕虱同袅亵核咨赃局跷趸躏轧酝刨锈锈陇靥韧肴须鱿鲑鲈鲨鳝鲔鹌鸽曲"
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
