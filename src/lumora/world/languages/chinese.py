"""Chinese captions, in simplified characters."""

from __future__ import annotations

from lumora.world.facts import Category
from lumora.world.languages.grammar import GrammaticalCase, Language, Noun


def _inflect(stem: str, gender: str, case: GrammaticalCase) -> str:
    return stem


def _phrase(noun: Noun, case: GrammaticalCase, adjectives: list[tuple[Category, str]], position: str) -> str:
    return "".join([position, "一", noun.gender, *(a for _, a in adjectives), noun.word])


CHINESE = Language(
    nouns={
        "ball": (Noun("球", "个"), Noun("圆球", "个"), Noun("皮球", "个")),
        "cube": (Noun("立方体", "个"), Noun("方块", "个")),
        "cylinder": (Noun("圆柱体", "个"), Noun("圆筒", "个")),
        "cone": (Noun("圆锥体", "个"), Noun("圆锥", "个")),
        "capsule": (Noun("胶囊", "个"), Noun("药丸", "个")),
        "ring": (Noun("圆环", "个"), Noun("圈", "个")),
        "cookie": (Noun("饼干", "块"), Noun("曲奇饼", "块")),
        "crate": (Noun("木箱", "个"), Noun("板条箱", "个")),
        "robot": (Noun("机器人", "个"),),
        "snowman": (Noun("雪人", "个"),),
        "duck": (Noun("鸭子", "只"), Noun("小黄鸭玩具", "只")),
        "cat": (Noun("猫", "只"), Noun("猫咪", "只")),
    },
    adjectives={
        "color": {
            "red": ("红色的", "鲜红的"), "orange": ("橙色的", "橘色的"), "yellow": ("黄色的", "柠檬黄的"),
            "green": ("绿色的", "翠绿的"), "blue": ("蓝色的", "天蓝色的"), "purple": ("紫色的", "紫罗兰色的"),
            "pink": ("粉色的", "粉红色的"), "brown": ("棕色的", "褐色的"), "black": ("黑色的", "漆黑的"),
            "white": ("白色的", "雪白的"),
        },
        "size": {"small": ("小小的", "很小的"), "large": ("大大的", "巨大的")},
        "material": {"matte": ("哑光的", "无光泽的"), "shiny": ("光亮的", "闪亮的"), "metal": ("金属的", "金属制的")},
        "emotion": {
            "happy": ("开心的", "快乐的", "微笑的"), "sad": ("悲伤的", "难过的"), "angry": ("生气的", "愤怒的"),
            "surprised": ("惊讶的", "吃惊的"),
        },
    },
    inflect=_inflect,
    phrase=_phrase,
    motion={
        "still": ("静止不动", "一动不动", "停在原地"), "roll": ("滚动", "滚着走"), "slide": ("滑动", "滑行"),
        "bounce": ("弹跳", "一弹一弹地跳"), "fall": ("落下", "掉到地上"), "jump": ("跳跃", "蹦跳"),
        "spin": ("原地旋转", "转圈"), "walk": ("行走", "走路", "散步"), "orbit": ("绕着{}转", "围绕{}运动"),
    },
    visible="出现在画面里",
    event={
        "hit": ("撞上{}", "碰到{}"), "push": ("推动{}", "推开{}"), "topple": ("撞倒{}", "碰翻{}"),
        "bite": ("被咬了一口", "被咬掉一块"), "hide": ("从{}后面经过", "躲到{}后面又出来"),
        "leave": ("离开画面又回来",),
    },
    direction={
        "right": ("向右", "从左往右"), "left": ("向左", "从右往左"), "toward": ("朝着镜头", "朝我们"),
        "away": ("远离镜头", "朝远处"),
    },
    speed={"slow": ("慢慢地", "缓缓地"), "fast": ("快速地", "飞快地")},
    position={
        "left": ("左边的", "左侧的"), "right": ("右边的", "右侧的"), "front": ("前面的",), "back": ("后方的",),
        "top": ("上面的",), "bottom": ("下面的",),
    },
    place={
        "meadow": ("在草地上", "在草原上"), "desert": ("在沙漠里", "在沙丘之间"), "snow": ("在雪地里", "在冰天雪地里"),
        "beach": ("在海滩上", "在海边"), "street": ("在街道上", "在马路上"), "room": ("在房间里", "在屋子里"),
    },
    light={
        "noon": ("中午", "阳光明媚的白天"), "sunset": ("日落时分", "傍晚"), "night": ("夜晚", "星空下"),
        "overcast": ("阴天", "多云的日子里"),
    },
    camera={
        "static": ("镜头固定", "镜头保持静止"), "pan left": ("镜头向左摇",), "pan right": ("镜头向右摇",),
        "tilt up": ("镜头向上摇",), "tilt down": ("镜头向下摇",), "move in": ("镜头推近", "镜头慢慢靠近"),
        "move out": ("镜头拉远", "镜头后退"), "orbit": ("镜头环绕场景", "镜头绕着场景转"), "follow": ("镜头跟随移动",),
        "glance left": ("镜头向左看一眼再回来",), "glance right": ("镜头向右看一眼再回来",),
    },
    style={
        "toon": ("卡通风格", "动画片风格"), "black and white": ("黑白影片", "黑白画面"),
        "pixel art": ("像素风格", "像素画风格"),
    },
    light_first=True,
    clause="{subject}{speed}{way}{verb}",
    then="，然后",
    joints=("，", "，同时"),
    settings=("{setting}，{story}",),
    tail="，",
    stop="。",
)  # fmt: skip
