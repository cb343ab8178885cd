"""Languages by the names that translation models have for them.

M2M100 and MADLAD-400 use ISO 639-1 codes with a few of their own, NLLB-200 (arXiv 2207.04672, table 1) a three-letter code and
a script, Opus-MT either. What a model knows stands in its vocabulary; here a BCP 47 tag is found among such codes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

_CODES: Final = """
af=afr am=amh ar=arb as=asm az=azj ba=bak be=bel bg=bul bn=ben bo=bod bs=bos ca=cat cs=ces cy=cym da=dan de=deu dz=dzo
ee=ewe el=ell en=eng eo=epo es=spa et=est eu=eus fa=pes fi=fin fj=fij fo=fao fr=fra ga=gle gd=gla gl=glg gn=grn gu=guj
ha=hau he=heb hi=hin hr=hrv ht=hat hu=hun hy=hye id=ind ig=ibo is=isl it=ita ja=jpn jv=jav ka=kat ki=kik kk=kaz km=khm
kn=kan ko=kor ks=kas ku=kmr ky=kir lb=ltz lg=lug li=lim ln=lin lo=lao lt=lit lv=lvs mg=plt mi=mri mk=mkd ml=mal mn=khk
mr=mar ms=zsm mt=mlt my=mya nb=nob ne=npi nl=nld nn=nno no=nob ny=nya oc=oci om=gaz or=ory pa=pan pl=pol ps=pbt pt=por
qu=quy rn=run ro=ron ru=rus rw=kin sa=san sc=srd sd=snd sg=sag si=sin sk=slk sl=slv sm=smo sn=sna so=som sq=als sr=srp
ss=ssw st=sot su=sun sv=swe sw=swh ta=tam te=tel tg=tgk th=tha ti=tir tk=tuk tl=tgl tn=tsn tr=tur ts=tso tt=tat tw=twi
ug=uig uk=ukr ur=urd uz=uzn vi=vie wo=wol xh=xho yi=ydd yo=yor zh=zho zu=zul
"""
_THREE: Final[Mapping[str, str]] = {pair.partition("=")[0]: pair.partition("=")[2] for pair in _CODES.split()}
"""ISO 639-1 codes with those of NLLB-200."""
_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "nb": ("no",),
    "nn": ("no",),
    "no": ("nb",),
    "he": ("iw",),
    "iw": ("he",),
    "id": ("in",),
    "in": ("id",),
    "fil": ("tl",),
    "tl": ("fil",),
    "jv": ("jw",),
    "jw": ("jv",),
    "cmn": ("zh",),
    "zh": ("cmn",),
    "nso": ("ns",),
    "sh": ("hr",),
}
"""What else a language is called, best first: older codes, and what stands for it where it has no name of its own."""
_SCRIPTS: Final = {"zh": "Hans", "cmn": "Hans", "ks": "Arab", "ar": "Arab", "sr": "Cyrl"}
"""The script of a tag that names none, where a model may have several."""
_TRADITIONAL: Final = frozenset({"tw", "hk", "mo"})


def primary(tag: str) -> str:
    """Gives the language of a tag alone: ``pt`` of ``pt-BR``."""
    return tag.strip().replace("_", "-").partition("-")[0].lower()


def find_code(tag: str, codes: Collection[str]) -> str:
    """Gives the code that a tag has among a model's, empty where it has none."""
    first, *rest = tag.replace("_", "-").split("-")
    first = first.lower()
    script = next((part.title() for part in rest if len(part) == 4), "")
    if not script:
        script = (
            "Hant" if first in ("zh", "cmn") and _TRADITIONAL & {part.lower() for part in rest} else _SCRIPTS.get(first, "")
        )
    names = [first, *_OTHERS.get(first, ())]
    names += [_THREE[name] for name in names if name in _THREE]
    exact = [f"{name}_{end}" for name in names for end in (*rest, script) if end]
    for name in (*exact, *names):
        if name in codes:
            return name
    for name in names:
        scripts = sorted(code for code in codes if code.partition("_")[0] == name)
        if scripts:
            return scripts[0]
    return ""
