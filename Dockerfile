# The service in a container, for the CPU or for CUDA; docs/operators/containers.md has the commands.
#   BASE    an image of Debian or Ubuntu with Python 3.11. CUDA needs no other: torch brings its libraries in wheels
#   LOCK    the file of hashed versions: requirements.cuda.txt, or one for the CPU that `make locks` makes
#   INDEX   an index of wheels beside the usual one, for builds of torch
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
ARG LOCK=requirements.cuda.txt
ARG INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
WORKDIR /build
RUN python3 -m venv /opt/facerec
COPY ${LOCK} requirements.txt
# What is downloaded has the hash that is in the file, or nothing is installed. Some packages have no wheels: what builds them comes first.
RUN grep -E '^(setuptools|wheel)==' requirements.txt > build.txt && \
    /opt/facerec/bin/python -m pip install --require-hashes --only-binary :all: --requirement build.txt
RUN /opt/facerec/bin/python -m pip install --require-hashes --no-build-isolation ${INDEX:+--extra-index-url "${INDEX}"} --requirement requirements.txt
COPY pyproject.toml README.md LICENSE NOTICE serve_config.yaml ./
COPY facerec_models facerec_models
COPY serving serving
COPY training training
COPY ui ui
# Compiled once, here: the root file system may be read-only where this runs.
RUN /opt/facerec/bin/python -m pip install --no-deps --no-build-isolation .
RUN /opt/facerec/bin/python -m compileall -qq -j 0 /opt/facerec/lib || true
RUN cd / && /opt/facerec/bin/facerec --version && /opt/facerec/bin/python -c "from serving.local import find_config; find_config()"

FROM ${BASE}
RUN groupadd --gid 10001 facerec && useradd --uid 10001 --gid facerec --no-create-home --home-dir /data facerec && install -d -o facerec -g facerec -m 0700 /data
COPY --from=packages /opt/facerec /opt/facerec
# All that is written is in the volume, or in /tmp, where Ray has its sockets and logs.
ENV PATH=/opt/facerec/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/data FACEREC_HOME=/data XDG_CACHE_HOME=/data/cache MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RAY_USAGE_STATS_ENABLED=0 OMP_WAIT_POLICY=PASSIVE GRADIO_ANALYTICS_ENABLED=False
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=2m --retries=4 CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=8)"]
# Inside the container the service must listen on its own interface; publish the port to 127.0.0.1 only, or put your proxy before it.
ENTRYPOINT ["facerec"]
CMD ["serve", "--no-ui", "--host", "0.0.0.0"]
