"""Random inputs that several test modules share."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

_PREFIXES: Final = ("arxiv:", "doi:", "acl:", "pmid:", "10.", "10.1000/", "https://doi.org/", "https://arxiv.org/abs/")
_NAMES: Final = ("2606.00001", "hep-th/9901001", "math.GT/0309136", "P19-1234", "2020.acl-main.1", "1", "9", "a", "K")
_TAILS: Final = ("v2", ".pdf", "/", "%", "%25", "%41", "%2541", " ", "\n")
_LOOK_ALIKES: Final = ("\u0130", "\u017f", "\u212a", "\uff11")

identifier_text = st.text() | st.lists(
    st.sampled_from(_PREFIXES + _NAMES + _TAILS + _LOOK_ALIKES) | st.text(max_size=3), max_size=6
).map("".join)
"""Any text, and text that comes near to identifiers, so that properties meet more than refusals."""
