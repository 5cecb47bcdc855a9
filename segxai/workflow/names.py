"""Names as people read them: names that look the same are equal."""

import unicodedata

UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # control codes, and bytes that are not UTF-8


def plain(text: str) -> str:
    """Compose the letters of a text (Unicode's NFC), and reduce several blanks to one.

    Its ends are stripped of blanks of any kind, including line breaks, and of codes without width,
    such as a byte order mark.
    """
    if text.isascii():
        return " ".join(text.split())
    codes = "".join(code for code in text if unicodedata.category(code) == "Cf")
    words = unicodedata.normalize("NFC", text).strip(codes).split()
    return " ".join(words).strip(codes + " ")


def name_key(name: str) -> str:
    """Key that is equal for names that look the same: without case, blanks and Unicode form."""
    if name.isascii():
        return plain(name).lower()
    visible = "".join(code for code in name if unicodedata.category(code) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", plain(visible)).casefold())
