"""Whisper's names of languages: servers that speak OpenAI's protocol answer with them, or with codes, as they like."""

from __future__ import annotations

from typing import Final

from models.ct2_languages import primary

_CODES: Final = {
    name.replace("_", " "): code
    for code, name in (
        pair.split(":")
        for pair in (
            "en:english zh:chinese de:german es:spanish ru:russian ko:korean fr:french ja:japanese pt:portuguese tr:turkish "
            "pl:polish ca:catalan nl:dutch ar:arabic sv:swedish it:italian id:indonesian hi:hindi fi:finnish vi:vietnamese "
            "he:hebrew uk:ukrainian el:greek ms:malay cs:czech ro:romanian da:danish hu:hungarian ta:tamil no:norwegian "
            "th:thai ur:urdu hr:croatian bg:bulgarian lt:lithuanian la:latin mi:maori ml:malayalam cy:welsh sk:slovak "
            "te:telugu fa:persian lv:latvian bn:bengali sr:serbian az:azerbaijani sl:slovenian kn:kannada et:estonian "
            "mk:macedonian br:breton eu:basque is:icelandic hy:armenian ne:nepali mn:mongolian bs:bosnian kk:kazakh "
            "sq:albanian sw:swahili gl:galician mr:marathi pa:punjabi si:sinhala km:khmer sn:shona yo:yoruba so:somali "
            "af:afrikaans oc:occitan ka:georgian be:belarusian tg:tajik sd:sindhi gu:gujarati am:amharic yi:yiddish lo:lao "
            "uz:uzbek fo:faroese ht:haitian_creole ps:pashto tk:turkmen nn:nynorsk mt:maltese sa:sanskrit lb:luxembourgish "
            "my:myanmar bo:tibetan tl:tagalog mg:malagasy as:assamese tt:tatar haw:hawaiian ln:lingala ha:hausa ba:bashkir "
            "jv:javanese su:sundanese yue:cantonese"
        ).split()
    )
}


def code_of(told: object) -> str:
    """Gives the BCP 47 tag of what a server calls a language; empty where it is none that Whisper knows."""
    name = told.strip().casefold() if isinstance(told, str) else ""
    code = primary(name)
    return _CODES.get(name, code if code in _CODES.values() else "")
