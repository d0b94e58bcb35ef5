from dataclasses import replace
import numpy as np, pytest
from facerec_models.errors import *
from facerec_models.files import write_atomically
from serving.archive.asked_for import with_asked
from serving.archive.forget import forget
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.edit_strangers import merge_strangers, unmerge_stranger
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.rename import merge_people, rename_person
from serving.archive.naming.undo import undo_edit
from serving.archive.search.strangers import rank_strangers, show_stranger
from serving.jobs import runner as jobs
from serving.store import leases
from serving.store.naming_rows import CorrectionKind
from tests.archive import *
from tests.unit.serving.archive.edits import *
import tests.archive as ta


def everything(archive):
    return b"".join(p.read_bytes() for p in archive.files.root.rglob("*") if p.is_file())

def test_job_asked(archive, store):
    rename_person(archive, "p", "Ann_Lee", "Bea_X")
    job = jobs.submit(store, "p", "video", {"person_id": "Bea_X", "max_false_names": None}, max_queued=9, video_id="v-1")
    leases.cancel(store, job.job_id)
    rename_person(archive, "p", "Bea_X", "Cea_X")
    print(with_asked(store, result_in(archive, "v-1"), [store.get_job(job.job_id).spec["person_id"]]).asked_for)
    forget(archive, "p", "Cea_X")
    assert b"Bea_X" not in everything(archive)

def test_album_of_former(archive, store):
    faces = store.list_faces("p", person_id="Ann_Lee")
    store.put_faces("p", [replace(face, path=f"Ann_Lee/{i}.jpg") for i, face in enumerate(faces)])
    for i in range(3):
        write_atomically(archive.files.pictures("p", "Ann_Lee") / f"{i}.jpg", b"jpeg")
    rename_person(archive, "p", "Ann_Lee", "Bea")
    enrol(archive, 5, "Ann_Lee")
    train(archive, "p")
    forget(archive, "p", "Ann_Lee")
    assert len(list(archive.files.pictures("p", "Ann_Lee").glob("*.jpg"))) == 3

def test_go_back_corrections_only(archive, store):
    # poor track confirmed as Zed, no face is enrolled
    v = put_video(archive, "v-3", 3, seen=(9, 10))
    tracks = store.get_tracks("p", ["a-v-3"])["a-v-3"]
    tracks = [replace(t, quality=np.full_like(t.quality, 0.01)) for t in tracks]
    store.put_analysis(v, tracks)
    assign_current(archive, v)
    correct(archive, "p", [TrackCorrection("v-3", 1, CorrectionKind.IS, "Zed")])
    print(labels_in(archive, "v-3"), store.list_people("p"))
    old = store.get_model("p").version
    rename_person(archive, "p", "Zed", "Yve")
    print(labels_in(archive, "v-3"))
    with pytest.raises(ConflictError):
        identify_archive(archive, "p", model_version=old)
        print(labels_in(archive, "v-3"))

def test_go_back_denied_only(archive, store):
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Zed")])
    for f in store.list_faces("p", person_id="Zed"):
        pass
    old = store.get_model("p").version
    enable_faces(archive, "p", [f.face_id for f in store.list_faces("p", person_id="Zed")], enabled=False)
    v2 = store.get_model("p").version
    print(labels_in(archive, "v-1"))
    rename_person(archive, "p", "Zed", "Yve")
    with pytest.raises(ConflictError):
        identify_archive(archive, "p", model_version=v2)
        print(labels_in(archive, "v-1"))
