"""Django settings, read from the environment (REGISTRY_*).

With nothing set the application runs alone: SQLite and files under app/var/, debug on.
As soon as REGISTRY_SECRET_KEY is set it is a deployment: debug off, cookies only over TLS.
"""

from __future__ import annotations

import ipaddress
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent
VAR_DIR = BASE_DIR.parent / "var"


def _listed(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
        return default if value == "" else value in {"1", "true", "yes", "on"}
    raise ImproperlyConfigured(f"{name}={value!r}: use 1 or 0")


def _networks(name: str, default: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(part) for part in _listed(name, default)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}; use networks like 10.58.7.0/24,10.0.0.0/8") from error


def _installed_version() -> str:
    try:
        return version("xjops-registry")
    except PackageNotFoundError:
        return "dev"


# Who runs where ------------------------------------------------------------------------------
SECRET_KEY = os.environ.get("REGISTRY_SECRET_KEY", "")
DEPLOYED = bool(SECRET_KEY)
DEBUG = _flag("REGISTRY_DEBUG", default=not DEPLOYED)
if not DEPLOYED:
    SECRET_KEY = "development-only-" + "0" * 40  # never used in a deployment: see DEPLOYED
REGISTRY_NODE = os.environ.get("REGISTRY_NODE") or os.uname().nodename
REGISTRY_RELEASE = os.environ.get("REGISTRY_RELEASE") or _installed_version()
ALLOWED_HOSTS = _listed("REGISTRY_ALLOWED_HOSTS", "" if DEPLOYED else "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _listed("REGISTRY_CSRF_TRUSTED_ORIGINS")

# nginx and the balancer stand in front; only they may tell the client's address (registry.web.addresses).
MANAGEMENT_NETWORKS = _networks("REGISTRY_MANAGEMENT_NETWORKS", "127.0.0.0/8,::1/128")
TRUSTED_PROXIES = _networks("REGISTRY_TRUSTED_PROXIES", "127.0.0.0/8,::1/128")

# Files ---------------------------------------------------------------------------------------
SHARED_ROOT = Path(os.environ.get("REGISTRY_SHARED_ROOT") or VAR_DIR / "shared")
ACCEL_REDIRECT = os.environ.get("REGISTRY_ACCEL_REDIRECT", "")
STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("REGISTRY_STATIC_ROOT") or VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": SHARED_ROOT},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or not DEPLOYED
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Applications --------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
    "registry.web",
    "registry.regions",
    "registry.orgs",
    "registry.accounts",
    "registry.students",
    "registry.statistics",
    "registry.imports",
    "registry.sample",
    "registry.health",
    "registry.jobs",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "registry.web.middleware.ContentSecurityPolicyMiddleware",
    "registry.web.middleware.HtmxRedirectMiddleware",
    "registry.health.middleware.HealthMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "registry.web.middleware.ChosenLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "registry.accounts.middleware.PasswordChangeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "registry.urls"
WSGI_APPLICATION = "registry.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "registry.web.context.site",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "registry.web.templatetags.ui",
            ],
        },
    }
]

# Database ------------------------------------------------------------------------------------
if not DEPLOYED:
    VAR_DIR.mkdir(exist_ok=True)
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("REGISTRY_DATABASE_URL") or f"sqlite:///{VAR_DIR / 'registry.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # A dead host or a cut cable ends in an error within seconds, never in a hanging worker.
    _options.update({"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 30} | _options)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers queue for the lock at BEGIN instead of failing half-way: worker and web share the file.
    _options.setdefault("transaction_mode", "IMMEDIATE")
    _options.setdefault("timeout", 20)
    _options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}}

# Accounts and sessions -----------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "accounts:login"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "display_name")},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_FAILURES_PER_ACCOUNT = 8  # within the window below
LOGIN_FAILURES_PER_ADDRESS = 60  # many schools sit behind one address
LOGIN_FAILURES_WINDOW_MINUTES = 15

SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_NAME = "registry_session"
CSRF_COOKIE_NAME = "registry_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = DEPLOYED
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_NAME = "registry_language"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Language and time ---------------------------------------------------------------------------
LANGUAGE_CODE = "zh-hans"  # the msgids are Chinese; locale/en holds the English catalogue
LANGUAGES = [("zh-hans", _("简体中文")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO" if DEPLOYED else "WARNING"},
}
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]  # HSTS and the way to TLS are HAProxy's
