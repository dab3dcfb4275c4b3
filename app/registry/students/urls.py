from django.urls import path

from registry.students import views

app_name = "students"
urlpatterns = [
    path("", views.student_list, name="list"),
    path("<int:pk>/", views.student_page, name="page"),
    path("<int:pk>/reveal/", views.student_reveal, name="reveal"),
    path("<int:pk>/photo/", views.student_photo, name="photo"),
]
