"""Quality before training: what is wrong with a data set, as proposals."""

from curation.quality.cache import Cache
from curation.quality.findings import KINDS, Finding
from curation.quality.report import BY_CHANCE, FALSE_ALARMS, QualityReport, check_quality, flagged

__all__ = ["BY_CHANCE", "FALSE_ALARMS", "KINDS", "Cache", "Finding", "QualityReport", "check_quality", "flagged"]
