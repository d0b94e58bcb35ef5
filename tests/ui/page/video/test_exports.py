"""Every form in the menu of exports is saved as a file, and is what it says."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import av
import openpyxl
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from rdflib import Graph

from facerec_models.result import Result
from serving.exports.export_format import ExportFormat
from tests.ui.page.conftest import Analysed
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

_PERSON = "Eileen Collins"


def _check_json(file: Path, result: Result) -> None:
    saved = Result.model_validate_json(file.read_bytes())
    assert [one.person_id for one in saved.appearances] == [one.person_id for one in result.appearances]


def _check_csv(file: Path, result: Result) -> None:
    head, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig")))
    assert len(set(head)) == len(head) > 5
    assert len(rows) == len(result.appearances)
    assert any(_PERSON in row for row in rows)


def _check_xlsx(file: Path, result: Result) -> None:
    rows = list(openpyxl.load_workbook(file).worksheets[0].iter_rows(values_only=True))
    assert sum(_PERSON in row for row in rows) == sum(one.identity == _PERSON for one in result.appearances)


def _check_webvtt(file: Path, result: Result) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("WEBVTT")
    assert re.search(r"^(\d\d:)?\d\d:\d\d\.\d{3} --> ", text, re.MULTILINE)
    assert _PERSON in text


def _check_srt(file: Path, result: Result) -> None:
    text = file.read_text(encoding="utf-8-sig")
    assert re.match(r"1\r?\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\r?\n", text)
    assert _PERSON in text


def _check_turtle(file: Path, result: Result) -> None:
    graph = Graph().parse(data=file.read_text(encoding="utf-8"), format="turtle")
    assert _PERSON in {str(value) for value in graph.objects()}


def _check_jsonld(file: Path, result: Result) -> None:
    document = json.loads(file.read_bytes())
    assert "@context" in document
    assert _PERSON in file.read_text(encoding="utf-8")


def _check_iiif(file: Path, result: Result) -> None:
    manifest = json.loads(file.read_bytes())
    assert manifest["type"] == "Manifest"
    (canvas,) = manifest["items"]
    assert canvas["duration"] == pytest.approx(result.video.duration_s, abs=0.1)
    assert _PERSON in file.read_text(encoding="utf-8")


def _check_eaf(file: Path, result: Result) -> None:
    root = ET.parse(file).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert _PERSON in {value.text for value in root.iter("ANNOTATION_VALUE")} | {
        tier.get("TIER_ID") for tier in root.iter("TIER")
    }


def _check_otio(file: Path, result: Result) -> None:
    assert json.loads(file.read_bytes())["OTIO_SCHEMA"].startswith("Timeline.")
    assert _PERSON in file.read_text(encoding="utf-8")


def _check_edl(file: Path, result: Result) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("TITLE:")
    assert re.search(r"^001\s", text, re.MULTILINE)
    assert _PERSON.upper() in text.upper()


def _check_sheet(file: Path, result: Result) -> None:
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def _check_annotated(file: Path, result: Result) -> None:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.frames == pytest.approx(result.video.duration_s * result.video.fps, abs=2)
        assert (stream.width, stream.height) == (result.video.width, result.video.height)


_CHECKS: dict[ExportFormat, tuple[str, Callable[[Path, Result], None]]] = {
    ExportFormat.XLSX: (".xlsx", _check_xlsx),
    ExportFormat.CSV: (".csv", _check_csv),
    ExportFormat.WEBVTT: (".vtt", _check_webvtt),
    ExportFormat.SRT: (".srt", _check_srt),
    ExportFormat.ANNOTATED: (".mp4", _check_annotated),
    ExportFormat.CONTACT_SHEET: (".png", _check_sheet),
    ExportFormat.JSON: (".json", _check_json),
    ExportFormat.TURTLE: (".ttl", _check_turtle),
    ExportFormat.JSONLD: (".jsonld", _check_jsonld),
    ExportFormat.IIIF: (".json", _check_iiif),
    ExportFormat.EAF: (".eaf", _check_eaf),
    ExportFormat.OTIO: (".otio", _check_otio),
    ExportFormat.EDL: (".edl", _check_edl),
}


def test_every_export_in_the_menu_is_what_it_says(
    page: Page, page_url: str, service_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    with FacerecClient(service_url) as client:
        result = client.result(analysed.project, analysed.video_id)
    assert any(one.identity == _PERSON for one in result.appearances)
    page.goto(f"{page_url}{analysed.at()}")
    menu = page.locator("details.menu")
    opener = menu.locator("summary")
    opener.click()
    links = {one.get_attribute("href") or "": one for one in menu.get_by_role("link").all()}
    formats = [ExportFormat(href.partition("format=")[2]) for href in links]
    # Nothing is offered that is not checked here, and nothing that the service can write is missing.
    assert sorted(formats) == sorted(_CHECKS) == sorted(ExportFormat)
    for wanted, link in zip(formats, links.values(), strict=True):
        if menu.get_attribute("open") is None:
            opener.click()
        expect(link).to_be_visible()
        with page.expect_download() as download:
            link.click()
        ending, check = _CHECKS[wanted]
        assert download.value.suggested_filename.endswith(ending), wanted
        file = tmp_path / f"{wanted}{ending}"
        download.value.save_as(file)
        check(file, result)
