"""Results as documents of ELAN."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree
from pympi import Elan

from serving.exports.elan import to_eaf
from serving.exports.provenance import explain_result
from tests.results import Seen, make_result, written

# What we use of https://www.mpi.nl/tools/elan/EAFv3.0.xsd, with its order, types and keys.
SCHEMA = etree.XMLSchema(
    etree.XML("""
<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xsd:element name="ANNOTATION_DOCUMENT">
    <xsd:complexType>
      <xsd:sequence>
        <xsd:element name="HEADER" type="headType"/>
        <xsd:element name="TIME_ORDER" type="timeType"/>
        <xsd:element name="TIER" type="tierType" minOccurs="0" maxOccurs="unbounded"/>
        <xsd:element name="LINGUISTIC_TYPE" type="lingType" minOccurs="0" maxOccurs="unbounded"/>
        <xsd:element name="CONSTRAINT" type="constraintType" minOccurs="0" maxOccurs="unbounded"/>
      </xsd:sequence>
      <xsd:attribute name="DATE" type="xsd:dateTime" use="required"/>
      <xsd:attribute name="AUTHOR" type="xsd:string" use="required"/>
      <xsd:attribute name="VERSION" type="xsd:string" use="required"/>
      <xsd:attribute name="FORMAT" type="xsd:string" use="optional" default="3.0"/>
    </xsd:complexType>
    <xsd:key name="tierNameKey"><xsd:selector xpath="TIER"/><xsd:field xpath="@TIER_ID"/></xsd:key>
    <xsd:key name="linTypeNameKey">
      <xsd:selector xpath="LINGUISTIC_TYPE"/><xsd:field xpath="@LINGUISTIC_TYPE_ID"/>
    </xsd:key>
    <xsd:keyref name="linTypeNameRef" refer="linTypeNameKey">
      <xsd:selector xpath="TIER"/><xsd:field xpath="@LINGUISTIC_TYPE_REF"/>
    </xsd:keyref>
  </xsd:element>
  <xsd:complexType name="headType">
    <xsd:sequence>
      <xsd:element name="MEDIA_DESCRIPTOR" minOccurs="0" maxOccurs="unbounded">
        <xsd:complexType>
          <xsd:attribute name="MEDIA_URL" type="xsd:anyURI" use="required"/>
          <xsd:attribute name="RELATIVE_MEDIA_URL" type="xsd:anyURI" use="optional"/>
          <xsd:attribute name="MIME_TYPE" type="xsd:string" use="required"/>
          <xsd:attribute name="TIME_ORIGIN" type="xsd:long" use="optional"/>
          <xsd:attribute name="EXTRACTED_FROM" type="xsd:anyURI" use="optional"/>
        </xsd:complexType>
      </xsd:element>
      <xsd:element name="PROPERTY" minOccurs="0" maxOccurs="unbounded">
        <xsd:complexType><xsd:simpleContent><xsd:extension base="xsd:string">
          <xsd:attribute name="NAME" type="xsd:string" use="optional"/>
        </xsd:extension></xsd:simpleContent></xsd:complexType>
      </xsd:element>
    </xsd:sequence>
    <xsd:attribute name="MEDIA_FILE" type="xsd:string" use="optional"/>
    <xsd:attribute name="TIME_UNITS" use="optional" default="milliseconds">
      <xsd:simpleType><xsd:restriction base="xsd:string">
        <xsd:enumeration value="NTSC-frames"/><xsd:enumeration value="PAL-frames"/><xsd:enumeration value="milliseconds"/>
      </xsd:restriction></xsd:simpleType>
    </xsd:attribute>
  </xsd:complexType>
  <xsd:complexType name="timeType">
    <xsd:sequence>
      <xsd:element name="TIME_SLOT" minOccurs="0" maxOccurs="unbounded">
        <xsd:complexType>
          <xsd:attribute name="TIME_SLOT_ID" type="xsd:ID" use="required"/>
          <xsd:attribute name="TIME_VALUE" type="xsd:unsignedInt" use="optional"/>
        </xsd:complexType>
      </xsd:element>
    </xsd:sequence>
  </xsd:complexType>
  <xsd:complexType name="tierType">
    <xsd:sequence>
      <xsd:element name="ANNOTATION" minOccurs="0" maxOccurs="unbounded">
        <xsd:complexType><xsd:choice>
          <xsd:element name="ALIGNABLE_ANNOTATION">
            <xsd:complexType>
              <xsd:sequence><xsd:element name="ANNOTATION_VALUE" type="xsd:string"/></xsd:sequence>
              <xsd:attribute name="ANNOTATION_ID" type="xsd:ID" use="required"/>
              <xsd:attribute name="TIME_SLOT_REF1" type="xsd:IDREF" use="required"/>
              <xsd:attribute name="TIME_SLOT_REF2" type="xsd:IDREF" use="required"/>
              <xsd:attribute name="SVG_REF" type="xsd:string" use="optional"/>
            </xsd:complexType>
          </xsd:element>
        </xsd:choice></xsd:complexType>
      </xsd:element>
    </xsd:sequence>
    <xsd:attribute name="TIER_ID" type="xsd:string" use="required"/>
    <xsd:attribute name="PARTICIPANT" type="xsd:string" use="optional"/>
    <xsd:attribute name="ANNOTATOR" type="xsd:string" use="optional"/>
    <xsd:attribute name="LINGUISTIC_TYPE_REF" type="xsd:string" use="required"/>
    <xsd:attribute name="DEFAULT_LOCALE" type="xsd:IDREF" use="optional"/>
    <xsd:attribute name="PARENT_REF" type="xsd:string" use="optional"/>
  </xsd:complexType>
  <xsd:complexType name="lingType">
    <xsd:attribute name="LINGUISTIC_TYPE_ID" type="xsd:string" use="required"/>
    <xsd:attribute name="TIME_ALIGNABLE" type="xsd:boolean" use="optional"/>
    <xsd:attribute name="CONSTRAINTS" type="xsd:IDREF" use="optional"/>
    <xsd:attribute name="GRAPHIC_REFERENCES" type="xsd:boolean" use="optional"/>
    <xsd:attribute name="CONTROLLED_VOCABULARY_REF" type="xsd:string" use="optional"/>
  </xsd:complexType>
  <xsd:complexType name="constraintType">
    <xsd:attribute name="STEREOTYPE" type="xsd:ID" use="required"/>
    <xsd:attribute name="DESCRIPTION" type="xsd:string" use="optional"/>
  </xsd:complexType>
</xsd:schema>""")
)

RESULT = make_result(
    Seen("Undecidable", 0.0, 0.5, reason="too small"),
    Seen("Unknown 2", 1.0004, 1.0006),
    Seen("Růžena <& 习近平>", 2.0, 3.25),
    Seen("Ann Lee", 4.0, 6.0),
    Seen("Ann Lee", 5.0, 7.0),
    Seen("Ann Lee", 6.0, 8.0),
    Seen("Ann Lee", 5.5, 5.5),
    start_timecode="10:00:00:00",
)


def read(text: str, tmp_path: Path) -> Elan.Eaf:
    """Return a document as another program reads it."""
    path = tmp_path / "a.eaf"
    path.write_text(text)
    return Elan.Eaf(path)


def test_a_document_of_elan_keeps_its_schema() -> None:
    for result in (RESULT, make_result()):
        SCHEMA.assertValid(etree.XML(written(to_eaf, result).encode()))


def test_people_come_before_strangers_and_undecidable_faces_last(tmp_path: Path) -> None:
    document = read(written(to_eaf, RESULT), tmp_path)
    assert list(document.get_tier_names()) == [
        *("Růžena <& 习近平>", "Ann Lee", "Ann Lee (2)", "Ann Lee (3)"),
        *("Unknown 2", "Undecidable"),
    ]


def test_annotations_say_who_is_seen_and_why_nobody_is(tmp_path: Path) -> None:
    document = read(written(to_eaf, RESULT), tmp_path)
    assert document.get_annotation_data_for_tier("Růžena <& 习近平>") == [(2000, 3250, "Růžena <& 习近平>")]
    assert document.get_annotation_data_for_tier("Undecidable") == [(0, 500, "too small")]


def test_annotations_of_a_tier_do_not_overlap_and_last_a_millisecond(tmp_path: Path) -> None:
    document = read(written(to_eaf, RESULT), tmp_path)
    found = {
        name: [(start, end) for start, end, _ in sorted(document.get_annotation_data_for_tier(name))]
        for name in document.get_tier_names()
    }
    assert found["Ann Lee"] == [(4000, 6000), (6000, 8000)]
    assert found["Ann Lee (2)"] == [(5000, 7000)]
    assert found["Ann Lee (3)"] == [(5500, 5501)]
    assert found["Unknown 2"] == [(1000, 1001)]


def test_tiers_have_different_names_though_a_person_is_called_like_a_second_one(tmp_path: Path) -> None:
    seen = [Seen("Ann", 0, 2), Seen("Ann (2)", 0, 1), Seen("Ann", 1, 3), Seen("Ann", 1.5, 2)]
    text = written(to_eaf, make_result(*seen))
    SCHEMA.assertValid(etree.XML(text.encode()))
    document = read(text, tmp_path)
    found = [value for name in document.get_tier_names() for _, _, value in document.get_annotation_data_for_tier(name)]
    assert sorted(found) == ["Ann", "Ann", "Ann", "Ann (2)"]


def test_time_slots_ascend_and_belong_to_one_annotation_each() -> None:
    root = etree.XML(written(to_eaf, RESULT).encode())
    times = [int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    used = [a.get(name) for a in root.iter("ALIGNABLE_ANNOTATION") for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
    assert sorted(used) == sorted(slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT"))


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("file:///a%20b.mp4", "video/mp4"), ("https://a.example/b.mov", "video/quicktime"), ("file:///a", "video/*")],
)
def test_a_document_names_its_video_its_author_and_how_names_were_given(tmp_path: Path, uri: str, kind: str) -> None:
    result = make_result(uri=uri, start_timecode="10:00:00:00")
    document = read(written(to_eaf, result), tmp_path)
    assert (document.adocument["AUTHOR"], document.adocument["DATE"]) == ("Archive", "2026-05-04T12:30:00+00:00")
    assert (document.adocument["VERSION"], document.adocument["FORMAT"]) == ("3.0", "3.0")
    (media,) = document.media_descriptors
    assert (media["MEDIA_URL"], media["MIME_TYPE"]) == (uri, kind)
    assert dict(document.properties) == {"provenance": explain_result(result), "start timecode": "10:00:00:00"}
