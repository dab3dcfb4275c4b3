from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SampleConfig(AppConfig):
    name = "registry.sample"
    verbose_name = _("样例数据")
