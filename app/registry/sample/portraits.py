"""Small abstract portraits: head and shoulders on a coloured ground, never a face. The same for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from PIL import Image, ImageDraw

from registry.students.models import Student

SIZE = (132, 176)  # 3:4, as the collected portraits have
_FOLDER = "sample"
_GROUNDS = (
    (214, 228, 240),
    (224, 236, 220),
    (240, 228, 214),
    (232, 222, 240),
    (220, 238, 238),
    (240, 234, 208),
)
_CLOTHES = ((46, 94, 140), (140, 62, 62), (62, 120, 84), (120, 88, 150), (196, 140, 52), (70, 86, 110))
_SKIN = ((236, 204, 176), (228, 190, 158), (242, 214, 190))
_HAIR = ((38, 32, 30), (58, 44, 38), (24, 24, 28))


def portrait_name(id_number: str) -> str:
    """Where a portrait is kept, relative to SHARED_ROOT/photos; the id number can't be read off it."""
    digest = hashlib.sha256(f"portrait {id_number}".encode()).hexdigest()
    return f"{_FOLDER}/{digest[:2]}/{digest[:24]}.jpg"


def has_portrait(id_number: str, share: int) -> bool:
    """Whether this student gets one: `share` in a hundred."""
    return hashlib.sha256(f"chosen {id_number}".encode()).digest()[0] * 100 < share * 256


def draw(id_number: str, sex: str) -> Image.Image:
    """The picture of one student."""
    digest = hashlib.sha256(f"drawn {id_number}".encode()).digest()
    width, height = SIZE
    scale = 3
    image = Image.new("RGB", (width * scale, height * scale), _GROUNDS[digest[0] % len(_GROUNDS)])
    pen = ImageDraw.Draw(image)
    middle, top = width * scale // 2 + digest[1] % 12 - 6, height * scale * 30 // 100
    head = width * scale * (21 + digest[2] % 4) // 100
    hair, skin = _HAIR[digest[3] % len(_HAIR)], _SKIN[digest[4] % len(_SKIN)]
    if sex == "2":
        pen.ellipse(
            [middle - head * 5 // 4, top - head, middle + head * 5 // 4, top + head * 5 // 2], fill=hair
        )
    cloth = _CLOTHES[digest[5] % len(_CLOTHES)]
    pen.ellipse([middle - head * 2, top + head * 7 // 4, middle + head * 2, top + head * 7], fill=cloth)
    pen.rectangle([middle - head // 3, top + head, middle + head // 3, top + head * 2], fill=skin)
    pen.ellipse([middle - head, top - head, middle + head, top + head * 5 // 4], fill=skin)
    pen.chord([middle - head, top - head * 5 // 4, middle + head, top + head], 180, 360, fill=hair)
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def link_portraits(share: int) -> int:
    """Draw the portraits that are missing and link them to their students; returns how many were linked."""
    photos: Path = settings.SHARED_ROOT / "photos"
    linked = []
    waiting = Student.objects.filter(photo="", id_type="1").only("id", "id_number", "sex", "photo")
    for student in waiting.iterator(chunk_size=2000):
        if not has_portrait(student.id_number, share):
            continue
        name = portrait_name(student.id_number)
        path = photos / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            draw(student.id_number, student.sex).save(part, "JPEG", quality=82)
            part.replace(path)
        student.photo = name
        linked.append(student)
    Student.objects.bulk_update(linked, ["photo"], batch_size=500)
    return len(linked)
