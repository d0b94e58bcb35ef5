"""Servers on this machine: a SPARQL endpoint with a small catalogue in it, and one for files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from rdflib import Graph
from rdflib_endpoint import SparqlEndpoint
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.waiting import wait_until

MEMAD = """
@prefix ebucore: <http://www.ebu.ch/metadata/ontologies/ebucore/ebucore#> .
@prefix m: <http://data.memad.eu/> .
m:programme ebucore:isInstantiatedBy m:media ;
  ebucore:title "Le journal", "The news" ; ebucore:hasGenre "News" ; ebucore:hasTheme "Élections" ; ebucore:duration "PT90S" ;
  ebucore:hasPublicationEvent [ ebucore:publicationStartDateTime "2014-05-26T20:00:00" ; ebucore:isReleasedBy m:france2 ] ;
  ebucore:hasPart [ ebucore:title "Opening" ; ebucore:start "00:00:00" ; ebucore:end "00:00:12.5" ],
    [ ebucore:title "Weather" ; ebucore:start "PT1M" ; ebucore:end "PT1M30S" ],
    [ ebucore:title "Lost" ; ebucore:start "soon" ; ebucore:end "later" ] .
m:france2 ebucore:publicationChannelName "France 2" .
m:media ebucore:locator "{file}" .
m:empty ebucore:title "No file" .
"""


def endpoint(turtle: str) -> FastAPI:
    return SparqlEndpoint(graph=Graph().parse(data=turtle, format="turtle"), enable_update=False)


@contextmanager
def running(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an application on this machine until the block ends; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def folder(path: Path) -> Starlette:
    """Return what gives out the files of a folder, with byte ranges, and 404 for what it does not have."""
    return Starlette(routes=[Mount("/", StaticFiles(directory=path))])
