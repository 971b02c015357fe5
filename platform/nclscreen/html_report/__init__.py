"""The report of a job: one HTML page that needs no network, and two CSV files beside it."""

from nclscreen.html_report.limits import ReportLimits
from nclscreen.html_report.writing import write_report

__all__ = ["ReportLimits", "write_report"]
