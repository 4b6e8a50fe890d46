"""A plugin whose requirement is missing."""

import importlib

importlib.import_module("a_module_that_is_nowhere")
