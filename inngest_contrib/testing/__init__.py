"""Tests without a server: functions are run in memory."""
