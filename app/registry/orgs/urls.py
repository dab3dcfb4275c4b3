from django.urls import path

from registry.orgs import views

app_name = "orgs"
urlpatterns = [
    path("regions/<str:code>/", views.region_page, name="region"),
    path("schools/", views.school_list, name="schools"),
    path("schools/<str:code>/", views.school_page, name="school"),
]
