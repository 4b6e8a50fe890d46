"""
One Django project for the tests of this folder, configured here and by no variable.

Settings can be configured once per process, and other rooms share it: nothing of theirs
is touched. Tests that need another project run one in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
HERE = "tests.contrib.django"

DJANGO_IS_TESTED = find_spec("pytest_django") is not None
"""Only environments of its own have it: settings are made for a whole process."""

if not DJANGO_IS_TESTED:
    collect_ignore_glob = ["test_*.py"]

MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}

if DJANGO_IS_TESTED:
    import django
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": MEMORY, "other": MEMORY},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INNGEST={"APP_ID": "shop", "DEV": True},
        INSTALLED_APPS=[
            "inngest_contrib.django",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "rest_framework",
            "drf_spectacular",
            f"{HERE}.shop",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        REST_FRAMEWORK={"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"},
        ROOT_URLCONF=f"{HERE}.urls",
        SECRET_KEY="not a secret",
        STATIC_URL="/static/",
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        USE_TZ=True,
    )
    django.setup()

Alone = Callable[..., str]


@pytest.fixture
def alone() -> Alone:
    """
    Runs code in a process of its own, where nothing of Django is configured.

    Gives what it has printed; variables go into its environment.
    """

    def run(code: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture(autouse=True)
def _connections_may_be_closed(django_db_blocker: Any) -> Iterator[None]:
    """Let Django close connections after each request, in tests that use no database as well."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def project() -> Iterator[Any]:
    """The project's client as the settings of the test make it; as before, afterwards."""
    from inngest_contrib.django import conf
    from inngest_contrib.django.project import project

    kept = list(project._creations)
    yield project
    project._creations[:] = kept
    conf._changed(setting="INNGEST")
