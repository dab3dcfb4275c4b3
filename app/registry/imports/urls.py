from django.urls import path

from registry.imports import views

app_name = "imports"
urlpatterns = [
    path("", views.job_list, name="list"),
    path("upload/", views.upload, name="upload"),
    path("template/<str:version>.xlsx", views.template, name="template"),
    path("<uuid:public_id>/", views.job_page, name="job"),
    path("<uuid:public_id>/progress/", views.job_progress, name="progress"),
    path("<uuid:public_id>/rejected.xlsx", views.job_report, name="report"),
    path("<uuid:public_id>/accept/", views.job_accept, name="accept"),
    path("<uuid:public_id>/retry/", views.job_retry, name="retry"),
    path("<uuid:public_id>/cancel/", views.job_cancel, name="cancel"),
]
