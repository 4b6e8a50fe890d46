"""The version of this plugin, in the only place where it is written."""

VERSION = "0.1.0"
