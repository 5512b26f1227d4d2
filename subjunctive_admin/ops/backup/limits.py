"""From when on a backup is too old, its proof too long ago, or its disk too full; the page and health share them."""

AGE_WARNING, AGE_CRITICAL = 26 * 3600.0, 50 * 3600.0
"""Seconds: a nightly one that is late, and one that was left out."""
VERIFIED_WARNING, VERIFIED_CRITICAL = 8 * 86_400.0, 15 * 86_400.0
"""Seconds: a weekly proof that is late, and one that was left out."""
SIZE_CHANGE = 0.5
"""Share by which a backup may differ from the one before."""
DUMPS_OF_ROOM = 2.0
"""How often the newest dump should fit into what is free."""
