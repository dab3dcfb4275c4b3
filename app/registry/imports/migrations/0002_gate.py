"""The one row that loading transactions lock."""

from django.db import migrations


def add_gate(apps, schema_editor):
    apps.get_model("imports", "ImportGate").objects.using(schema_editor.connection.alias).get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("imports", "0001_initial")]
    operations = [migrations.RunPython(add_gate, migrations.RunPython.noop)]
