from django.urls import path

from registry.accounts import views

app_name = "accounts"
urlpatterns = [
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", views.Logout.as_view(), name="logout"),
    path("password/", views.PasswordChange.as_view(), name="password_change"),
    path("language/", views.set_page_language, name="language"),
    path("audit/", views.audit, name="audit"),
]
