"""How what a person chose is told from what a draw chose; here, as it is needed where nothing else of the ledger is."""

BY_HAND = "chosen by hand"
"""Strategy and reason of asks that no draw chose: no promise is made from their answers."""
MARKED = "marked by hand"
"""Source of verdicts that were given without an ask, by who looked through images."""
