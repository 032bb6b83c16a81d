"""Whether a stream still looks like its reference: exchangeability tested by betting, with any number of looks.

``ranks`` and ``windows`` turn a stream into p-values that are uniform and independent as long as nothing drifts,
``capital`` bets against that, ``watching`` spends the rate of false alarms over statistics and cameras.
"""
